"""A pool knows what it handed out by a WeakSet, and does not close it: the leak of the pool's fixture."""
# crosses: the pool lives until its fixture ends

import os
import socket
import weakref
from typing import ClassVar

import pytest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
USERS = []


class Connection:
    def __init__(self):
        self.sock = socket.create_connection(PEER)  # LEAK owner=fixture:pool scope=session


class Pool:
    handed_out: ClassVar = weakref.WeakSet()

    def take(self):
        USERS.append(Connection())
        self.handed_out.add(USERS[-1])
        return USERS[-1].sock

    def end(self):
        for connection in list(self.handed_out):
            sock = connection.sock
            sock.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="session")
def pool():
    pool = Pool()
    yield pool
    pool.end()


def test_one(pool):
    pool.take().sendall(b"x")


def test_two():
    pass
