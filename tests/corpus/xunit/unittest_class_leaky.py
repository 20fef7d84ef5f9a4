"""setUpClass() opens, nobody closes: the class's."""
# crosses: open while the class lasts

import socket
import unittest


class ServerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = socket.create_server(("127.0.0.1", 0))  # LEAK owner=class:ServerTest scope=class

    def test_one(self):
        self.assertGreater(self.server.fileno(), 0)

    def test_two(self):
        self.assertGreater(self.server.fileno(), 0)


def test_next_is_innocent():
    pass
