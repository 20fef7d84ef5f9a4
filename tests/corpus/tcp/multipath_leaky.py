"""A multipath TCP listener is left: TCP to everybody but the kernel."""
# needs: posix
# run: --sockets-kinds=tcp

import socket

import pytest

MPTCP = 262
KEPT = []


def listen():
    try:
        # LEAK owner=test:test_listens protocol=tcp status=LISTEN
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM, MPTCP)
    except OSError as error:
        pytest.skip(f"no MPTCP here: {error}")
    server.bind(("127.0.0.1", 0))
    server.listen()
    return server


def test_listens():
    KEPT.append(listen())


def test_next_is_innocent():
    pass
