"""A client that retries, in front of a server that resets its first connection."""

import socket

from pytest_sockets.faults import Reset


def fetch(address, request, tries=2):
    while True:
        tries -= 1
        try:
            with socket.create_connection(address, timeout=2) as sock:
                sock.sendall(request)
                return sock.recv(1000)
        except ConnectionResetError:
            if not tries:
                raise


def test_the_client_retries_after_a_reset(tcp_echo_server):
    with tcp_echo_server.faults(Reset(times=1)):
        assert fetch(tcp_echo_server.address, b"hello") == b"hello"
    tcp_echo_server.wait_closed()
    assert [one.closed_by for one in tcp_echo_server.connections] == ["fault:Reset", "client"]
