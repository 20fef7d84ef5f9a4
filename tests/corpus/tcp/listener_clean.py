"""A listening socket is closed by a with block."""

import socket

SERVERS = []


def test_starts_a_server():
    with socket.create_server(("127.0.0.1", 0)) as server:
        SERVERS.append(server)


def test_next_is_innocent():
    pass
