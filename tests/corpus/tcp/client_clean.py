"""The cached connection is closed by the test that made it."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
CACHE = {}


def test_fills_the_cache():
    CACHE["api"] = socket.create_connection(PEER)
    CACHE["api"].close()


def test_next_is_innocent():
    pass
