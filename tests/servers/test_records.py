"""A server's records say who connected, what came and went, and who ended it how."""

from __future__ import annotations

import socket
import struct
import time

import pytest

from pytest_sockets import faults
from pytest_sockets.model import Endpoint

RST = struct.pack("ii", 1, 0)


def test_a_connection_from_accept_to_close(tcp_echo_server, clients):
    """Tuple, byte counts and times of one short connection."""
    began = time.monotonic()
    client = tcp_echo_server.connect()
    mine = client.getsockname()
    clients.exchange(client, b"hello")
    client.close()
    (record,) = tcp_echo_server.wait_closed()
    assert record.socket_tuple == ("tcp", "127.0.0.1", tcp_echo_server.port, "127.0.0.1", mine[1])
    assert record.remote == Endpoint(*mine)
    assert (record.bytes_in, record.bytes_out, record.received) == (5, 5, b"hello")
    assert (
        began
        <= record.accepted_at
        <= record.first_at
        <= record.last_at
        <= record.closed_at
        <= time.monotonic()
    )
    assert record.closed_by == "client"
    assert not record.is_open


def test_a_record_is_live(tcp_echo_server, clients):
    """The same object tells more as more happens."""
    client = tcp_echo_server.connect()
    (record,) = tcp_echo_server.wait_connections(1)
    assert record.is_open
    assert record.received == b""
    clients.exchange(client, b"x")
    assert record.received == b"x"
    assert record.closed_by is None


def test_a_reset_by_the_client_is_told_from_its_close(tcp_echo_server):
    """SO_LINGER 0 at the client is "client reset"."""
    client = tcp_echo_server.connect()
    tcp_echo_server.wait_connections(1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
    client.close()
    assert tcp_echo_server.wait_closed()[0].closed_by == "client reset"


def test_who_closed_it(echo_server_factory):
    """Server, fault and teardown are told apart."""
    server = echo_server_factory()
    first, second = server.connect(), server.connect()
    server.wait_connections(2)
    server.close_all()
    assert first.recv(1) == b""
    server.faults(faults.Reset())
    third = server.connect()
    with pytest.raises(ConnectionResetError):
        third.recv(1)
    server.wait_closed()
    with server.faults():
        pass
    other = echo_server_factory()
    other.connect()
    other.wait_connections(1)
    other.stop()
    assert [record.closed_by for record in server.connections] == ["server", "server", "fault:Reset"]
    assert [record.closed_by for record in other.connections] == ["teardown"]
    assert second.recv(1) == b""


def test_only_the_first_bytes_are_kept(echo_server_factory, clients):
    """`record` bytes of each connection; the counts go on."""
    server = echo_server_factory(record=4)
    clients.exchange(server.connect(), b"123456")
    (record,) = server.connections
    assert record.received == server.received == b"1234"
    assert record.bytes_in == 6


def test_by_default_64_kib_are_kept(tcp_echo_server, clients):
    """More would make a load test eat memory."""
    clients.exchange(tcp_echo_server.connect(), b"x" * 200_000)
    assert len(tcp_echo_server.connections[0].received) == 65536


def test_one_line_says_it_all(tcp_echo_server, clients):
    """What a failing test shows."""
    client = tcp_echo_server.connect()
    clients.exchange(client, b"GET / HTTP/1.1\r\nHost: example\r\n\r\n")
    here, there = tcp_echo_server.port, client.getsockname()[1]
    assert str(tcp_echo_server.connections[0]) == (
        f"tcp 127.0.0.1:{here} <- 127.0.0.1:{there}: 33 bytes in b'GET / HTTP/1.1\\r\\nHost: ex'..., 33 out, open"
    )


def test_a_thousand_clients_on_one_port_are_told_apart(echo_server_factory, clients):
    """Each record has its own socket tuple, and together they are what the clients saw."""
    server = echo_server_factory(backlog=1024)
    peers = []
    for number in range(1000):
        peer = server.connect()
        peer.sendall(b"%d" % number)
        peers.append(peer)
    for number, peer in enumerate(peers):
        assert clients.read(peer, len(b"%d" % number)) == b"%d" % number
    records = server.wait_connections(1000)
    assert len({record.socket_tuple for record in records}) == 1000
    seen_here = {record.remote: record.received for record in records}
    assert seen_here == {Endpoint(*peer.getsockname()): b"%d" % number for number, peer in enumerate(peers)}


def test_datagrams_with_sender_and_time(udp_echo_server, clients):
    """UDP has no connections but datagrams."""
    began = time.monotonic()
    client = udp_echo_server.connect()
    clients.exchange(client, b"ping")
    (datagram,) = udp_echo_server.datagrams
    assert datagram.sender == Endpoint(*client.getsockname())
    assert (datagram.data, datagram.size) == (b"ping", 4)
    assert began <= datagram.received_at <= time.monotonic()
    assert udp_echo_server.received == b"ping"
    assert udp_echo_server.connections == ()
    assert str(datagram) == f"udp <- {datagram.sender}: 4 bytes b'ping'"


def test_an_empty_datagram_is_one(udp_echo_server):
    """Zero bytes are a datagram, and are echoed."""
    client = udp_echo_server.connect()
    client.send(b"")
    assert client.recv(10) == b""
    assert udp_echo_server.datagrams[0].size == 0


def test_over_tls_the_plain_text_is_recorded(tls_echo_server, clients):
    """Counts and bytes are the application's."""
    clients.exchange(tls_echo_server.connect(), b"secret")
    (record,) = tls_echo_server.connections
    assert (record.received, record.bytes_in, record.bytes_out) == (b"secret", 6, 6)
