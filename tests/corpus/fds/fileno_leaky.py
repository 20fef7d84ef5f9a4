"""socket(fileno=) around a detached descriptor: the first line opened the socket, the second only wrapped it."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_wraps():
    client = socket.create_connection(PEER)  # LEAK owner=test:test_wraps
    KEPT.append(socket.socket(fileno=client.detach()))


def test_next_is_innocent():
    pass
