"""A test replaces socket.socket; what it makes by the real class is found all the same."""

import os
import socket
import unittest.mock

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_replaces_the_class(monkeypatch):
    real = socket.socket
    monkeypatch.setattr(socket, "socket", unittest.mock.Mock())
    assert socket.socket().fileno() is not None
    KEPT.append(real())  # LEAK owner=test:test_replaces_the_class


def test_next_is_innocent():
    pass
