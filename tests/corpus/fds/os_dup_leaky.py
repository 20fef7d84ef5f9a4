"""os.dup() is silent; the socket behind the left number is still the one that this line opened."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_duplicates():
    with socket.create_connection(PEER) as client:  # LEAK owner=test:test_duplicates
        KEPT.append(os.dup(client.fileno()))


def test_next_is_innocent():
    pass
