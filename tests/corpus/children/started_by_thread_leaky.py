"""A module fixture's thread starts servers while short tests come and go; it leaves them all: none is a test's."""
# needs: posix
# crosses: the fixture's processes

import os
import subprocess
import sys
import threading
import time

import pytest

SERVER = (
    "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print('up', flush=True); time.sleep(60)"
)
CHILDREN = []
# pytest changes os.environ in each phase. exec() in another thread reads it at once, and fails with EFAULT in between.
ENVIRONMENT = dict(os.environ)


def work():
    for _ in range(6):
        command = [sys.executable, "-S", "-c", SERVER]
        # LEAK process=child owner=fixture:worker scope=module line=optional count=6
        child = subprocess.Popen(command, stdout=subprocess.PIPE, env=ENVIRONMENT)
        CHILDREN.append(child)
        assert child.stdout.readline() == b"up\n"


@pytest.fixture(scope="module", autouse=True)
def worker():
    thread = threading.Thread(target=work)
    thread.start()
    yield
    thread.join()


@pytest.mark.parametrize("number", range(100))
def test_is_short(number):
    time.sleep(0.001)
