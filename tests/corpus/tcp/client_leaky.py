"""A connection that a test puts into a module's cache outlives the test."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
CACHE = {}


def test_fills_the_cache():
    CACHE["api"] = socket.create_connection(PEER)  # LEAK owner=test:test_fills_the_cache status=ESTABLISHED


def test_next_is_innocent():
    pass
