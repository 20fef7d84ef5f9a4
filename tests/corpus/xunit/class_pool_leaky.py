"""setUpClass() makes a pool, tests fill it, nobody closes it: the class's leak."""
# crosses: the class's pool

import os
import socket
import unittest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


class PoolTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pool = []

    def test_one(self):
        self.pool.append(socket.create_connection(PEER))  # LEAK owner=class:PoolTest scope=class

    def test_two(self):
        self.pool[0].sendall(b"x")
