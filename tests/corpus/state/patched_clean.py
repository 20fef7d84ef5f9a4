"""A test replaces socket.socket by a mock: nothing was opened."""

import os
import socket
import unittest.mock

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_replaces_the_class(monkeypatch):
    monkeypatch.setattr(socket, "socket", unittest.mock.Mock())
    KEPT.append(socket.create_connection(PEER))


def test_next_is_innocent():
    pass
