"""TestCase.setUp() opens; the instance dies with its test, the socket with it: kind unclosed, the test's."""
# run: --sockets-unclosed=warn

import os
import socket
import unittest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


class ClientTest(unittest.TestCase):
    def setUp(self):
        self.client = socket.create_connection(PEER)  # LEAK kind=unclosed owner=test:ClientTest::test_sends

    def test_sends(self):
        self.client.sendall(b"x")


def test_next_is_innocent():
    pass
