"""TestCase.setUp() opens; tearDown(), addCleanup() and enterContext() close."""
# run: --sockets-unclosed=warn

import os
import socket
import unittest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


class ClientTest(unittest.TestCase):
    def setUp(self):
        self.client = socket.create_connection(PEER)
        self.other = socket.create_connection(PEER)
        self.addCleanup(self.other.close)

    def tearDown(self):
        self.client.close()

    def test_sends(self):
        self.client.sendall(b"x")

    def test_sends_again(self):
        self.other.sendall(b"x")


def test_next_is_innocent():
    pass
