"""Tests close their clients of the module's server, which notices a moment later."""
# crosses: the module's server

import socket
import socketserver
import threading

import pytest


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
    with socket.create_connection(server) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"


def test_two(server):
    with socket.create_connection(server) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
