"""A worker thread of a global executor keeps a thread-local connection for the task that a test gave it."""

import concurrent.futures
import os
import socket
import threading

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
EXECUTOR = concurrent.futures.ThreadPoolExecutor(1)
LOCAL = threading.local()


def ask():
    LOCAL.client = socket.create_connection(PEER)  # LEAK owner=test:test_submits
    LOCAL.client.sendall(b"x")
    return LOCAL.client.recv(1)


def test_submits():
    assert EXECUTOR.submit(ask).result(10) == b"x"


def test_next_is_innocent():
    pass
