"""The suite's own accept loop runs since conftest.py was imported: what it accepts is nobody's."""
# crosses: the server and the session's client

import socket
import threading

import pytest

LISTENER = socket.create_server(("127.0.0.1", 0))


def serve():
    while True:
        connection, _ = LISTENER.accept()
        threading.Thread(target=echo, args=[connection], daemon=True).start()


def echo(connection):
    with connection:
        while data := connection.recv(100):
            connection.sendall(data)


threading.Thread(target=serve, daemon=True).start()


@pytest.fixture(scope="session")
def clients():
    clients = []
    yield clients
    for client in clients:
        client.close()
