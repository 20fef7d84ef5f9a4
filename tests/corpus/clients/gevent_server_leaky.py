"""A module's gevent server accepts its module's client during the first test; the client is never closed: one finding."""
# needs: gevent
# crosses: the module's server and client

import gevent
import gevent.server
import gevent.socket
import pytest

KEPT = []


def echo(sock, address):
    while data := sock.recv(100):
        sock.sendall(data)
    sock.close()


@pytest.fixture(scope="module")
def server():
    server = gevent.server.StreamServer(("127.0.0.1", 0), echo)
    server.start()
    yield server.address
    server.stop()


@pytest.fixture(scope="module")
def client(server):
    client = gevent.socket.create_connection(server)  # LEAK owner=fixture:client scope=module
    KEPT.append(client)
    yield client


def test_one(client):
    client.sendall(b"x")
    assert client.recv(1) == b"x"


def test_two(client):
    client.sendall(b"x")
    assert client.recv(1) == b"x"
