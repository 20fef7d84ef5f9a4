"""A connected UDP client, closed."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_UDP"]))
KEPT = []


def test_asks():
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        KEPT.append(client)
        client.connect(PEER)
        client.send(b"ping")
        assert client.recv(10) == b"ping"


def test_next_is_innocent():
    pass
