"""A module fixture's thread starts and ends server processes while tests begin and end: none is a test's."""
# crosses: the fixture's processes

import socket
import subprocess
import sys
import threading

import pytest

SERVER = "import socket; s = socket.create_server(('127.0.0.1', 0)); print('up', flush=True); input()"


def work(stop):
    while not stop.is_set():
        command = [sys.executable, "-S", "-c", SERVER]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdout.readline() == b"up\n"
            stop.wait(0.02)
            child.communicate(b"\n")


@pytest.fixture(scope="module", autouse=True)
def worker():
    stop = threading.Event()
    thread = threading.Thread(target=work, args=[stop])
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.mark.parametrize("number", range(12))
def test_opens_and_closes(number):
    with socket.create_server(("127.0.0.1", 0)):
        threading.Event().wait(0.02)
