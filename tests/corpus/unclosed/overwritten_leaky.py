"""A loop that overwrites self.client: each lost connection was closed by the interpreter only."""
# run: --sockets-unclosed=warn

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


class TestClient:
    def test_reconnects(self):
        for _ in range(3):
            # LEAK kind=unclosed owner=test:TestClient::test_reconnects count=2
            self.client = socket.create_connection(PEER)
        self.client.close()


def test_next_is_innocent():
    pass
