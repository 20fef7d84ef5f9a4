"""Original and dup() are closed."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_duplicates():
    with socket.create_connection(PEER) as client, client.dup() as copy:
        KEPT.append(copy)


def test_next_is_innocent():
    pass
