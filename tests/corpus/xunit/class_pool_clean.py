"""setUpClass() makes a pool, tests fill it, tearDownClass() closes it: never a test's leak."""
# crosses: the classes' pools

import os
import socket
import unittest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


class PoolTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pool = []

    @classmethod
    def tearDownClass(cls):
        for sock in cls.pool:
            sock.close()

    def test_one(self):
        self.pool.append(socket.create_connection(PEER))

    def test_two(self):
        self.pool.append(socket.create_connection(PEER))


class TestPool:
    @classmethod
    def setup_class(cls):
        cls.pool = []

    @classmethod
    def teardown_class(cls):
        for sock in cls.pool:
            sock.close()

    def test_one(self):
        self.pool.append(socket.create_connection(PEER))

    def test_two(self):
        self.pool.append(socket.create_connection(PEER))
