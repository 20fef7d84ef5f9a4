import socket

import conftest


def test_one(clients):
    clients.append(socket.create_connection(conftest.LISTENER.getsockname()))
    clients[0].sendall(b"x")
    assert clients[0].recv(1) == b"x"


def test_two(clients):
    clients[0].sendall(b"x")
    assert clients[0].recv(1) == b"x"
