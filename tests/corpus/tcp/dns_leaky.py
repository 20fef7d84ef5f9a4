"""Connecting by name tries ::1 first, where nobody listens: one socket is left, not two."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_connects_by_name():
    assert socket.getaddrinfo("localhost", PEER[1])
    KEPT.append(socket.create_connection(("localhost", PEER[1])))  # LEAK owner=test:test_connects_by_name


def test_next_is_innocent():
    pass
