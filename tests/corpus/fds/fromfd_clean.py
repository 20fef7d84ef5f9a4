"""socket.fromfd() duplicates; both are closed."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_copies():
    with socket.create_connection(PEER) as client:
        with socket.fromfd(client.fileno(), socket.AF_INET, socket.SOCK_STREAM) as copy:
            KEPT.append(copy)


def test_next_is_innocent():
    pass
