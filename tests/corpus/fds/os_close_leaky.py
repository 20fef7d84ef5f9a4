"""os.close() under a live socket object, then a leaked socket that gets the same number."""
# alone: needs the lowest free descriptor

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_closes_by_number():
    first = socket.create_connection(PEER)
    os.close(first.fileno())
    second = socket.create_connection(PEER)  # LEAK owner=test:test_closes_by_number
    assert second.fileno() == first.fileno()
    first.detach()
    KEPT.append(second)


def test_next_is_innocent():
    pass
