"""socket.fromfd() duplicates: the copy is left, its line is named."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_copies():
    with socket.create_connection(PEER) as client:
        # LEAK owner=test:test_copies
        copy = socket.fromfd(client.fileno(), socket.AF_INET, socket.SOCK_STREAM)
        KEPT.append(copy)


def test_next_is_innocent():
    pass
