"""A connected UDP client (a DNS resolver, a statsd client) is left."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_UDP"]))
KEPT = []


def test_asks():
    client = socket.socket(type=socket.SOCK_DGRAM)  # LEAK owner=test:test_asks protocol=udp
    client.connect(PEER)
    client.send(b"ping")
    assert client.recv(10) == b"ping"
    KEPT.append(client)


def test_next_is_innocent():
    pass
