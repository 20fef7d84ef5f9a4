"""weakref.finalize closes at the object's death, but here a global keeps the object."""

import os
import socket
import weakref

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


class Client:
    def __init__(self):
        sock = socket.create_connection(PEER)  # LEAK owner=test:test_relies_on_the_finalizer
        weakref.finalize(self, sock.close)


def test_relies_on_the_finalizer():
    KEPT.append(Client())


def test_next_is_innocent():
    pass
