"""Each test makes, connects and closes its own."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_makes():
    with socket.socket() as sock:
        KEPT.append(sock)


def test_connects():
    with socket.socket() as sock:
        sock.connect(PEER)
        KEPT.append(sock)
