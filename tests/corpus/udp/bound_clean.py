"""A UDP server socket, closed in finally."""

import socket

KEPT = []


def test_serves_datagrams():
    server = socket.socket(type=socket.SOCK_DGRAM)
    KEPT.append(server)
    try:
        server.bind(("127.0.0.1", 0))
    finally:
        server.close()


def test_next_is_innocent():
    pass
