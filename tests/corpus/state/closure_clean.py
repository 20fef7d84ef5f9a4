"""A callback registered for later closes over a connection that was closed."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
CALLBACKS = []


def subscribe():
    client = socket.create_connection(PEER)
    CALLBACKS.append(client.close)


def test_subscribes():
    subscribe()
    CALLBACKS.pop()()


def test_next_is_innocent():
    pass
