"""A listening socket is left open by a test."""

import socket

SERVERS = []


def test_starts_a_server():
    server = socket.create_server(("127.0.0.1", 0))  # LEAK owner=test:test_starts_a_server status=LISTEN
    SERVERS.append(server)


def test_next_is_innocent():
    pass
