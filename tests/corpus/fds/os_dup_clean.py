"""The number from os.dup() is closed by os.close()."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_duplicates():
    with socket.create_connection(PEER) as client:
        KEPT.append(os.dup(client.fileno()))
    os.close(KEPT[0])


def test_next_is_innocent():
    pass
