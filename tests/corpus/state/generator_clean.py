"""A generator that is closed leaves its with block."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
STREAMS = []


def lines():
    with socket.create_connection(PEER) as client:
        while True:
            client.sendall(b"x\n")
            yield client.recv(10)


def test_reads_one_line():
    STREAMS.append(lines())
    assert next(STREAMS[0]) == b"x\n"
    STREAMS[0].close()


def test_next_is_innocent():
    pass
