"""weakref.finalize closes when the object dies, which it does at the end of the test."""

import os
import socket
import weakref

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


class Client:
    def __init__(self):
        sock = socket.create_connection(PEER)
        weakref.finalize(self, sock.close)


def test_relies_on_the_finalizer():
    client = Client()
    assert client


def test_next_is_innocent():
    pass
