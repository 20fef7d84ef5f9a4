"""The peer has closed, this side has not: CLOSE_WAIT."""

import os
import socket

CLOSING_PEER = ("127.0.0.1", int(os.environ["CORPUS_CLOSING"]))
KEPT = []


def test_reads_to_the_end():
    client = socket.create_connection(CLOSING_PEER)  # LEAK owner=test:test_reads_to_the_end status=CLOSE_WAIT
    assert client.recv(1) == b""
    KEPT.append(client)


def test_next_is_innocent():
    pass
