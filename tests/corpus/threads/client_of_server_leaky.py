"""A test leaks its client of the module's server: one finding, the client's; the accepted end is its other side."""
# crosses: the module's server

import socket
import socketserver
import threading

import pytest

KEPT = []


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(100):
            self.request.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


@pytest.fixture(scope="module")
def server():
    with Server(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        yield server.server_address
        server.shutdown()


def test_one(server):
    client = socket.create_connection(server)  # LEAK owner=test:test_one
    KEPT.append(client)
    client.sendall(b"x")
    assert client.recv(1) == b"x"


def test_two(server):
    with socket.create_connection(server) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
