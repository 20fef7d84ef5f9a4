"""A loop that closes before it overwrites."""
# run: --sockets-unclosed=warn

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


class TestClient:
    def test_reconnects(self):
        for _ in range(3):
            self.client = socket.create_connection(PEER)
            self.client.close()


def test_next_is_innocent():
    pass
