"""Each handler thread of a session's proxy has a connection of its own upstream, opened during the first test."""
# crosses: the session's proxy and client

import os
import socket
import socketserver
import threading

import pytest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


class Proxy(socketserver.StreamRequestHandler):
    def handle(self):
        with socket.create_connection(PEER) as upstream:
            while data := self.request.recv(100):
                upstream.sendall(data)
                self.request.sendall(upstream.recv(100))


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


class Client:
    sock = None

    def __init__(self, address):
        self.address = address

    def ask(self):
        if self.sock is None:
            self.sock = socket.create_connection(self.address)
        self.sock.sendall(b"x")
        return self.sock.recv(1)


@pytest.fixture(scope="session")
def proxy():
    with Server(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        yield server.server_address
        server.shutdown()


@pytest.fixture(scope="session")
def client(proxy):
    client = Client(proxy)
    yield client
    client.sock.close()


def test_one(client):
    assert client.ask() == b"x"


def test_two(client):
    assert client.ask() == b"x"
