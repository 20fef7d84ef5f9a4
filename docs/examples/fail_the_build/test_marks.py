"""Exceptions to the rule, each with its reason."""

import socket

import pytest

KEPT = []


def connect(address):
    """A client library that never closes."""
    KEPT.append(socket.create_connection(address))


# [off]
@pytest.mark.sockets(leaks="off", reason="the vendor's client has no close()")
def test_the_vendor_client_connects(tcp_echo_server):
    connect(tcp_echo_server.address)
    # [/off]


@pytest.fixture(scope="session")
def broker(session_echo_server_factory):
    return session_echo_server_factory("tcp")


# [ignore]
@pytest.mark.sockets(ignore=["remote=127.0.0.1:* status=ESTABLISHED", "opened_in=*/site-packages/grpc/*"])
def test_connections_to_this_host_may_stay(broker):
    connect(broker.address)
    # [/ignore]


# [grace]
@pytest.mark.sockets(grace=2)
def test_a_thread_closes_later(tcp_echo_server):
    with socket.create_connection(tcp_echo_server.address):
        pass
    # [/grace]
