"""socket(fileno=) takes over the descriptor and closes it."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_wraps():
    client = socket.create_connection(PEER)
    with socket.socket(fileno=client.detach()) as wrapped:
        KEPT.append(wrapped)


def test_next_is_innocent():
    pass
