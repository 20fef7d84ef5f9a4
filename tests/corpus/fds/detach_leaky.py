"""A detached descriptor: no Python object is left to warn, the socket stays open."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_detaches():
    client = socket.create_connection(PEER)  # LEAK owner=test:test_detaches status=ESTABLISHED
    KEPT.append(client.detach())


def test_next_is_innocent():
    pass
