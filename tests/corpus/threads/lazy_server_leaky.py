"""A fixture's server is started by a test, in a thread that the fixture can reach; what ended before stays the test's."""
# crosses: the server

import os
import socket
import threading

import pytest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


class Server:
    def __init__(self):
        self.thread = None
        self.stop, self.ready = threading.Event(), threading.Event()

    def start(self):
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        assert self.ready.wait(20)

    def connect(self):
        KEPT.append(socket.create_connection(PEER))  # LEAK owner=test:test_starts

    def run(self):
        self.connect()
        with socket.create_server(("127.0.0.1", 0)):
            self.ready.set()
            self.stop.wait(20)


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    server.stop.set()
    server.thread.join()


def test_starts(server):
    server.start()


def test_next_is_innocent(server):
    pass
