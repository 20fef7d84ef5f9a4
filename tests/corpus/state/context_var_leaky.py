"""The connection is in a context variable, and the fixture's teardown does not close it: the fixture's leak."""
# crosses: the pool lives until its fixture ends

import contextvars
import os
import socket

import pytest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
CURRENT = contextvars.ContextVar("current", default=None)


def take():
    if CURRENT.get() is None:
        CURRENT.set(socket.create_connection(PEER))  # LEAK owner=fixture:end_of_pool scope=session
    return CURRENT.get()


@pytest.fixture(scope="session", autouse=True)
def end_of_pool():
    yield
    sock = CURRENT.get()
    sock.shutdown(socket.SHUT_RDWR)


def test_one():
    take().sendall(b"x")


def test_two():
    take().sendall(b"x")
