"""A subclass of socket, closed."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


class LineSocket(socket.socket):
    def __init__(self):
        super().__init__(socket.AF_INET, socket.SOCK_STREAM)
        self.connect(PEER)


def test_uses_the_subclass():
    with LineSocket() as sock:
        KEPT.append(sock)


def test_next_is_innocent():
    pass
