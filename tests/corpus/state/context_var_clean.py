"""The connection is in a context variable that the fixture's teardown closes: nobody's leak."""
# crosses: the pool lives until its fixture ends

import contextvars
import os
import socket

import pytest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
CURRENT = contextvars.ContextVar("current", default=None)


def take():
    if CURRENT.get() is None:
        CURRENT.set(socket.create_connection(PEER))
    return CURRENT.get()


@pytest.fixture(scope="session", autouse=True)
def end_of_pool():
    yield
    sock = CURRENT.get()
    sock.close()


def test_one():
    take().sendall(b"x")


def test_two():
    take().sendall(b"x")
