"""os.close() under a socket object that is kept: the descriptor is gone, whatever the object believes."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_closes_by_number():
    client = socket.create_connection(PEER)
    os.close(client.fileno())
    KEPT.append(client)


def test_next_is_innocent():
    pass
