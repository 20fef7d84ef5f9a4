"""Tasks in a pool close what they open; the idle worker threads may stay."""

import concurrent.futures
import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
EXECUTOR = concurrent.futures.ThreadPoolExecutor(2)


def ask(_):
    with socket.create_connection(PEER) as client:
        client.sendall(b"x")
        return client.recv(1)


def test_submits():
    assert list(EXECUTOR.map(ask, range(6))) == [b"x"] * 6


def test_next_is_innocent():
    pass
