"""A UDP server socket is left bound."""

import socket

KEPT = []


def test_serves_datagrams():
    server = socket.socket(type=socket.SOCK_DGRAM)  # LEAK owner=test:test_serves_datagrams protocol=udp
    server.bind(("127.0.0.1", 0))
    KEPT.append(server)


def test_next_is_innocent():
    pass
