"""Threads of a module fixture open sockets while tests begin and end, and the fixture closes them all: none is a test's."""
# crosses: the threads' sockets

import socket
import subprocess
import sys
import threading
import time

import pytest

OPENED = []


def work():
    for _ in range(150):
        OPENED.append(socket.create_server(("127.0.0.1", 0)))
        time.sleep(0.001)


@pytest.fixture(scope="module", autouse=True)
def bustle():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # let the threads take turns as often as they can
    threads = [threading.Thread(target=work) for _ in range(3)]
    child = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    for thread in threads:
        thread.start()
    yield
    child.communicate(b"\n")
    for thread in threads:
        thread.join()
    for sock in OPENED:
        sock.close()
    sys.setswitchinterval(interval)


@pytest.mark.parametrize("number", range(150))
def test_opens_and_closes(number):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert listener.fileno() > 0
