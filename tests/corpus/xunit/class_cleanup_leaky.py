"""unittest's class cleanups close another list than the one that the tests fill."""

import os
import socket
import unittest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
POOL = []
OTHERS = []


def close_others():
    while OTHERS:
        OTHERS.pop().close()


class PoolTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.addClassCleanup(close_others)

    def test_one(self):
        POOL.append(socket.create_connection(PEER))  # LEAK owner=test:PoolTest::test_one

    def test_two(self):
        pass
