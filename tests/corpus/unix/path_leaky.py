"""Listeners on a path, connections to it and datagram sockets bound to it are watched by default."""
# needs: posix
# fragile: the oracle watches all unix sockets or none

import socket

KEPT = []


def test_listens(tmp_path):
    server = socket.socket(socket.AF_UNIX)  # LEAK owner=test:test_listens protocol=unix status=LISTEN
    server.bind(str(tmp_path / "s"))
    server.listen()
    KEPT.append(server)


def test_connects(tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        client = socket.socket(socket.AF_UNIX)  # LEAK owner=test:test_connects protocol=unix
        client.connect(str(tmp_path / "s"))
        accepted, _ = server.accept()
        KEPT.extend([client, accepted])  # the other end of the same connection


def test_logs(tmp_path):
    log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)  # LEAK owner=test:test_logs protocol=unix
    log.bind(str(tmp_path / "log"))
    KEPT.append(log)


def test_next_is_innocent():
    pass
