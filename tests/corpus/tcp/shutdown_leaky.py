"""shutdown() is not close(): the connection ends, the descriptor stays."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_shuts_down():
    client = socket.create_connection(PEER)  # LEAK owner=test:test_shuts_down
    client.shutdown(socket.SHUT_RDWR)
    KEPT.append(client)


def test_next_is_innocent():
    pass
