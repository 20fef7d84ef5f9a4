"""A thread-local of the main thread keeps a connection."""

import os
import socket
import threading

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
LOCAL = threading.local()


def connection():
    if not hasattr(LOCAL, "sock"):
        LOCAL.sock = socket.create_connection(PEER)  # LEAK owner=test:test_one
    return LOCAL.sock


def test_one():
    connection().sendall(b"x")


def test_two():
    connection().sendall(b"x")
