"""A callback registered for later closes over a connection."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
CALLBACKS = []


def subscribe():
    client = socket.create_connection(PEER)  # LEAK owner=test:test_subscribes
    CALLBACKS.append(lambda: client.sendall(b"x"))


def test_subscribes():
    subscribe()


def test_next_is_innocent():
    pass
