"""The original is closed, its dup() is not. The user needs the line of dup(): that descriptor is the one left."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_duplicates():
    with socket.create_connection(PEER) as client:
        KEPT.append(client.dup())  # LEAK owner=test:test_duplicates


def test_next_is_innocent():
    pass
