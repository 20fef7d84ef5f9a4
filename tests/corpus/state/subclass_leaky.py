"""A subclass of socket with a constructor of its own."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


class LineSocket(socket.socket):
    def __init__(self):
        super().__init__(socket.AF_INET, socket.SOCK_STREAM)  # LEAK owner=test:test_uses_the_subclass
        self.connect(PEER)


def test_uses_the_subclass():
    KEPT.append(LineSocket())


def test_next_is_innocent():
    pass
