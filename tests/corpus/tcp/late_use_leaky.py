"""A socket made by one test and connected by the next: its owner is the test that made it."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_makes():
    KEPT.append(socket.socket())  # LEAK owner=test:test_makes


def test_connects():
    KEPT[0].connect(PEER)
