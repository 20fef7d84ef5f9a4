"""Of ten connections made at one line, three are forgotten: three findings."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_opens_ten():
    for number in range(10):
        client = socket.create_connection(PEER)  # LEAK owner=test:test_opens_ten count=3
        KEPT.append(client)
        if number > 2:
            client.close()


def test_next_is_innocent():
    pass
