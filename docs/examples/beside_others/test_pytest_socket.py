"""Real servers on loopback in a suite that is run with --disable-socket."""

import socket

import pytest
from pytest_socket import SocketBlockedError


@pytest.mark.disable_socket
def test_the_tests_own_sockets_are_blocked():
    with pytest.raises(SocketBlockedError):
        socket.create_connection(("127.0.0.1", 80))


@pytest.mark.disable_socket
def test_and_the_server_and_its_client_work(tcp_echo_server):
    client = tcp_echo_server.connect()
    client.sendall(b"hello")
    assert client.recv(100) == b"hello"
