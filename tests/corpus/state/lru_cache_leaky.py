"""functools.lru_cache holds the connection that the first caller opened."""

import functools
import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


@functools.lru_cache
def connection():
    return socket.create_connection(PEER)  # LEAK owner=test:test_first


def test_first():
    connection().sendall(b"x")


def test_second():
    connection().sendall(b"x")
