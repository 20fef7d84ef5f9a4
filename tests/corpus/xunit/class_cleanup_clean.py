"""unittest's class cleanups close the list that the tests fill, as functions and as the exits of context managers."""
# crosses: the class's pool

import contextlib
import os
import socket
import unittest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
POOL = []
RESERVE = []


def close_all():
    while POOL:
        POOL.pop().close()


@contextlib.contextmanager
def reserve():
    yield
    while RESERVE:
        RESERVE.pop().close()


class PoolTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.addClassCleanup(close_all)
        manager = reserve()
        manager.__enter__()  # enterClassContext() of 3.11
        cls.addClassCleanup(manager.__exit__, None, None, None)

    def test_one(self):
        POOL.append(socket.create_connection(PEER))
        RESERVE.append(socket.create_connection(PEER))

    def test_two(self):
        pass
