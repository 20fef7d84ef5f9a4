import socket

import conftest

KEPT = []


def test_one():
    client = socket.create_connection(conftest.LISTENER.getsockname())  # LEAK owner=test:test_one
    KEPT.append(client)
    client.sendall(b"x")
    assert client.recv(1) == b"x"


def test_two(clients):
    KEPT[0].sendall(b"x")
    assert KEPT[0].recv(1) == b"x"
