"""Listener, Client and Pipe of multiprocessing over unix sockets, opened by tests, are left."""
# run: --sockets-kinds=tcp,udp,unix
# needs: posix

import multiprocessing
from multiprocessing.connection import Client, Listener

KEPT = []


def test_listens(tmp_path):
    # LEAK owner=test:test_listens protocol=unix status=LISTEN
    KEPT.append(Listener(str(tmp_path / "s"), "AF_UNIX"))


def test_connects(tmp_path):
    with Listener(str(tmp_path / "s"), "AF_UNIX") as server:
        KEPT.append(Client(server.address))  # LEAK owner=test:test_connects protocol=unix
        server.accept().close()


def test_makes_a_pipe():
    ends = multiprocessing.Pipe()  # LEAK owner=test:test_makes_a_pipe protocol=unix
    KEPT.extend(ends)


def test_next_is_innocent():
    pass
