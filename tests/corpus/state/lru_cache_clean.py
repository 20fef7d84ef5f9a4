"""cache_clear() after close()."""

import functools
import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


@functools.lru_cache
def connection():
    return socket.create_connection(PEER)


def test_first():
    connection().sendall(b"x")
    connection().close()
    connection.cache_clear()


def test_next_is_innocent():
    pass
