"""A module fixture's servers, in a thread and in an executor, are started by a test and stopped by the fixture."""
# crosses: the servers

import concurrent.futures
import socket
import threading

import pytest


def serve(stop, ready):
    with socket.create_server(("127.0.0.1", 0)):  # no object refers to it but this function's frame
        ready.set()
        stop.wait(20)


class Server:
    def __init__(self):
        self.stop, self.ready = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=serve, args=[self.stop, self.ready])

    def start(self):
        self.thread.start()
        assert self.ready.wait(20)


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    server.stop.set()
    server.thread.join()


@pytest.fixture(scope="module")
def submit():
    stop, ready = threading.Event(), threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        yield lambda: executor.submit(serve, stop, ready) and ready.wait(20)
        stop.set()


def test_starts(server, submit):
    server.start()
    assert submit()


def test_next_is_innocent(server, submit):
    pass
