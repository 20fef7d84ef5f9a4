"""Both sides close; TIME_WAIT is the kernel's and no leak."""

import os
import socket

CLOSING_PEER = ("127.0.0.1", int(os.environ["CORPUS_CLOSING"]))
KEPT = []


def test_reads_to_the_end():
    client = socket.create_connection(CLOSING_PEER)
    KEPT.append(client)
    assert client.recv(1) == b""
    client.close()


def test_closes_first():
    client = socket.create_connection(("127.0.0.1", int(os.environ["CORPUS_TCP"])))
    KEPT.append(client)
    client.close()
