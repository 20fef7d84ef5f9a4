"""A thread-local's and a context variable's connections are closed."""

import contextvars
import os
import socket
import threading

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
LOCAL = threading.local()
CURRENT = contextvars.ContextVar("CURRENT")


def test_one():
    LOCAL.sock = socket.create_connection(PEER)
    LOCAL.sock.close()


def test_two():
    with socket.create_connection(PEER) as sock:
        CURRENT.set(sock)
