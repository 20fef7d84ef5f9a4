"""The module's server thread closes what it accepted when the module ends: nothing of that is a test's."""
# crosses: the module's server

import socket
import threading

import pytest

ACCEPTED = []


def serve(listener):
    while True:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        ACCEPTED.append(sock)
        sock.sendall(b"hello")


@pytest.fixture(scope="module")
def server():
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve, args=[listener], daemon=True)
    thread.start()
    yield listener.getsockname()
    listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    listener.close()
    for sock in ACCEPTED:
        sock.close()


def test_one(server):
    with socket.create_connection(server) as client:
        assert client.recv(5) == b"hello"


def test_two(server):
    with socket.create_connection(server) as client:
        assert client.recv(5) == b"hello"
