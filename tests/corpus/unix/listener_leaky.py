"""A unix listener and a datagram socket are left."""
# run: --sockets-kinds=tcp,udp,unix

import socket

KEPT = []


def test_listens(tmp_path):
    server = socket.socket(socket.AF_UNIX)  # LEAK owner=test:test_listens protocol=unix status=LISTEN
    server.bind(str(tmp_path / "s"))
    server.listen()
    KEPT.append(server)


def test_logs():
    KEPT.append(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))  # LEAK owner=test:test_logs protocol=unix


def test_next_is_innocent():
    pass
