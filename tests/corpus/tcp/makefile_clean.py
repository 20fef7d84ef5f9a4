"""Socket and file are closed, in the order that puts the close off."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_closes_both():
    client = socket.create_connection(PEER)
    file = client.makefile("rb")
    KEPT.append(file)
    client.close()
    file.close()


def test_next_is_innocent():
    pass
