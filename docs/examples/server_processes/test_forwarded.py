"""A port forwarder listens at once, its server later: the port alone does not say when the server answers.

The forwarder here is twenty lines of Python, so that the example runs without a container. Docker's does the same.
"""

import socket
import sys

import pytest

from pytest_sockets import wait_listening

FORWARDER = """
import socket, sys, threading, time

def pipe(source, target):
    while data := source.recv(65536):
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)

def serve(client, port):
    try:
        upstream = socket.create_connection(("127.0.0.1", port))
    except OSError:
        client.close()  # as docker-proxy does
        return
    threading.Thread(target=pipe, args=(client, upstream), daemon=True).start()
    pipe(upstream, client)

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    client, _ = listener.accept()
    threading.Thread(target=serve, args=(client, int(sys.argv[2])), daemon=True).start()
"""
LATE = """
import socket, sys, time
time.sleep(0.5)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    client, _ = listener.accept()
    client.sendall(b"hello")
    client.close()
"""


@pytest.fixture
def hidden_port(free_port_factory):
    return free_port_factory()


# ready
def says_hello(server):
    with socket.create_connection(server.address, timeout=1) as client:
        return client.recv(5) == b"hello"


@pytest.fixture
def forwarded(server_process_factory, hidden_port):
    server_process_factory([sys.executable, "-c", LATE, str(hidden_port)], ready=lambda: True)
    command = [sys.executable, "-c", FORWARDER, "{port}", str(hidden_port)]
    return server_process_factory(command, ready=says_hello)


# end
def test_it_answers_at_once(forwarded):
    assert says_hello(forwarded)


# check
def test_the_same_for_a_server_that_runs_already(forwarded):
    wait_listening(forwarded.port, check=lambda: says_hello(forwarded))
