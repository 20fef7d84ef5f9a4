"""Threads of a module fixture open sockets while tests begin and end; it forgets three, one test forgets one."""
# crosses: the threads' sockets

import socket
import subprocess
import sys
import threading
import time

import pytest

KEPT = []
OPENED = []


def work():
    for _ in range(100):
        # LEAK owner=fixture:bustle scope=module count=3
        OPENED.append(socket.create_server(("127.0.0.1", 0)))
        time.sleep(0.001)


@pytest.fixture(scope="module", autouse=True)
def bustle():
    threads = [threading.Thread(target=work) for _ in range(3)]
    child = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    for thread in threads:
        thread.start()
    yield
    child.communicate(b"\n")
    for thread in threads:
        thread.join()
    for sock in OPENED[:-3]:
        sock.close()


@pytest.mark.parametrize("number", range(60))
def test_opens(number):
    listener = socket.create_server(("127.0.0.1", 0))  # LEAK owner=test:test_opens[30]
    if number == 30:
        KEPT.append(listener)
    else:
        listener.close()
