"""A module fixture's thread starts server processes while tests run, and leaves the last one."""
# needs: posix
# crosses: the fixture's processes

import subprocess
import sys
import threading

import pytest

SERVER = (
    "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print('up', flush=True); time.sleep(60)"
)
CHILDREN = []


def work(go, up):
    go.wait(20)
    command = [sys.executable, "-S", "-c", SERVER]
    # LEAK process=child owner=fixture:worker scope=module line=optional
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    CHILDREN.append(child)
    assert child.stdout.readline() == b"up\n"
    up.set()


@pytest.fixture(scope="module")
def worker():
    go, up = threading.Event(), threading.Event()
    threading.Thread(target=work, args=[go, up]).start()
    return go, up


def test_one(worker):
    pass


def test_makes_it_start(worker):
    worker[0].set()
    assert worker[1].wait(20)


def test_three(worker):
    pass
