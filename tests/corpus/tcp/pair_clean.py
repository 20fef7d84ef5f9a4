"""Listener, client and accepted socket are all closed."""

import socket

KEPT = []


def test_connects_to_itself():
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    accepted, _ = server.accept()
    KEPT.extend([server, client, accepted])
    for sock in KEPT:
        sock.close()


def test_next_is_innocent():
    pass
