"""Ten connections made at one line, all closed."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_opens_ten():
    KEPT.extend(socket.create_connection(PEER) for _ in range(10))
    for client in KEPT:
        client.close()


def test_next_is_innocent():
    pass
