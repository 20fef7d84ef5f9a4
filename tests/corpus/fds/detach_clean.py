"""A detached descriptor, closed by its number."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_detaches():
    client = socket.create_connection(PEER)
    KEPT.append(client.detach())
    os.close(KEPT[0])


def test_next_is_innocent():
    pass
