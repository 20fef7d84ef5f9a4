"""A multipath TCP listener and its client are closed: TCP to everybody but the kernel."""
# needs: posix
# run: --sockets-kinds=tcp

import contextlib
import socket

import pytest

MPTCP = 262
KEPT = []


def listen():
    try:
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM, MPTCP)
    except OSError as error:
        pytest.skip(f"no MPTCP here: {error}")
    server.bind(("127.0.0.1", 0))
    server.listen()
    return server


def test_listens():
    with listen() as server, contextlib.closing(socket.create_connection(server.getsockname())):
        accepted, _ = server.accept()
        accepted.close()
        KEPT.append(server)


def test_next_is_innocent():
    pass
