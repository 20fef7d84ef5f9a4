"""Live connections of every stream server: what a test does to one of them, and the transcript of all."""

from __future__ import annotations

import asyncio
import re
import socket

import pytest

from pytest_sockets import EchoServer, ServerFault, WaitTimeout, faults
from pytest_sockets.errors import SettingError
from pytest_sockets.servers import transcript as transcript_module


@pytest.fixture(params=["tcp", "unix", "tls"])
def server(request, echo_server_factory):
    """A running stream server of each transport."""
    return echo_server_factory(request.param)


def test_a_test_sends_to_one_client_only(server, clients):
    first, second = server.connect(), server.connect()
    clients.exchange(first, b"a")
    clients.exchange(second, b"b")
    server.connections[0].send(b"pushed")
    assert clients.read(first, 6) == b"pushed"
    assert clients.gets_nothing(second)
    assert server.connections[0].sent == b"apushed"
    assert server.connections[1].sent == b"b"


def test_a_test_closes_one_client_only(server, clients):
    first, second = server.connect(), server.connect()
    clients.exchange(first, b"a")
    clients.exchange(second, b"b")
    server.connections[0].close()
    assert first.recv(1) == b""
    assert clients.exchange(second, b"still open") == b"still open"
    assert server.connections[0].closed_by == "server"
    assert server.connections[1].is_open


def test_a_test_resets_one_client_only(echo_server_factory, clients):
    server = echo_server_factory()
    first, second = server.connect(), server.connect()
    clients.exchange(first, b"a")
    clients.exchange(second, b"b")
    server.connections[0].reset()
    with pytest.raises(ConnectionResetError):
        first.recv(1)
    assert clients.exchange(second, b"still open") == b"still open"


def test_a_half_closed_client_can_still_send(tcp_echo_server, clients):
    client = tcp_echo_server.connect()
    clients.exchange(client, b"a")
    tcp_echo_server.connections[0].half_close()
    assert client.recv(1) == b""
    client.sendall(b"heard")
    assert tcp_echo_server.wait_received(b"heard") is tcp_echo_server.connections[0]


def test_what_a_test_sends_passes_the_faults(echo_server_factory, clients):
    server = echo_server_factory(faults=[faults.Close(after=3)])
    client = server.connect()
    server.wait_connections(1)
    server.connections[0].send(b"abcdef")
    assert clients.read(client, 10) == b"abc"
    assert server.connections[0].sent == b"abc"


@pytest.mark.parametrize("act", ["close", "reset", "half_close", "send"])
def test_a_closed_connection_says_so(tcp_echo_server, act):
    client = tcp_echo_server.connect()
    client.close()
    (record,) = tcp_echo_server.wait_closed()
    with pytest.raises(ServerFault, match=rf"{act}\(\): this connection is closed\n  tcp .*closed by client"):
        getattr(record, act)(*([b"x"] if act == "send" else []))


def test_only_bytes_can_be_sent(tcp_echo_server):
    tcp_echo_server.connect()
    (record,) = tcp_echo_server.wait_connections(1)
    with pytest.raises(SettingError, match=r"send\('x'\): use bytes"):
        record.send("x")


class TestTranscript:
    def test_all_connections_stand_in_the_order_of_events(self, tcp_echo_server, clients):
        first = tcp_echo_server.connect()
        clients.exchange(first, b"one")
        second = tcp_echo_server.connect()
        clients.exchange(second, b"two")
        first.close()
        second.close()
        tcp_echo_server.wait_closed()
        events = [(event.connection, event.event, event.data) for event in tcp_echo_server.transcript]
        assert events[:6] == [
            (0, "opened", b""),
            (0, "in", b"one"),
            (0, "out", b"one"),
            (1, "opened", b""),
            (1, "in", b"two"),
            (1, "out", b"two"),
        ]
        assert sorted(events[6:]) == [(0, "closed", b""), (1, "closed", b"")]
        times = [event.time for event in tcp_echo_server.transcript]
        assert times == sorted(times)

    def test_a_proxy_and_tls_have_plain_data_of_their_client(
        self, tls_echo_server, fault_proxy_factory, clients
    ):
        assert clients.exchange(tls_echo_server.connect(), b"plain") == b"plain"
        assert [event.data for event in tls_echo_server.transcript][1:3] == [b"plain", b"plain"]
        proxy = fault_proxy_factory(("127.0.0.1", EchoServer().port))
        proxy.reset_all()
        assert proxy.transcript == ()

    def test_it_is_bounded_by_bytes_and_by_events(self, echo_server_factory, clients, monkeypatch):
        server = echo_server_factory(record=10)
        clients.exchange(server.connect(), b"x" * 100)
        assert [len(event.data) for event in server.transcript] == [0, 10, 10]
        monkeypatch.setattr(transcript_module, "LIMIT", 4)
        server = echo_server_factory()
        clients.exchange(server.connect(), b"first")
        clients.exchange(server.connect(), b"second")
        assert [(event.event, event.data) for event in server.transcript] == [
            ("out", b"first"), ("opened", b""), ("in", b"second"), ("out", b"second"),
        ]  # fmt: skip

    def test_udp_has_none(self, udp_echo_server):
        udp_echo_server.connect().send(b"x")
        udp_echo_server.wait_connections(1)
        assert udp_echo_server.transcript == ()


class TestWaitReceived:
    @pytest.mark.parametrize(
        "wanted",
        [b"needle", re.compile(rb"n\w+le"), lambda data: data.endswith(b"needle")],
        ids=["bytes", "pattern", "call"],
    )
    def test_the_record_that_brought_it_is_returned(self, tcp_echo_server, wanted):
        hay, needle = tcp_echo_server.connect(), tcp_echo_server.connect()
        hay.sendall(b"hay")
        needle.sendall(b"hay with a nee")
        needle.sendall(b"dle")
        assert tcp_echo_server.wait_received(wanted).number == 1

    def test_datagrams_count_too(self, udp_echo_server):
        udp_echo_server.connect().send(b"hay")
        udp_echo_server.connect().send(b"needle")
        assert udp_echo_server.wait_received(b"needle").data == b"needle"

    def test_a_timeout_says_what_came(self, tcp_echo_server):
        tcp_echo_server.connect().sendall(b"hay")
        with pytest.raises(WaitTimeout) as caught:
            tcp_echo_server.wait_received(b"needle", timeout=0.1)
        assert "b'needle' did not come within 0.1 s\n" in str(caught.value)
        assert "3 bytes in b'hay'" in str(caught.value)

    def test_the_async_twin_waits_and_times_out(self, tcp_echo_server):
        tcp_echo_server.connect().sendall(b"needle")
        record = asyncio.run(tcp_echo_server.async_wait_received(b"needle"))
        assert record.received == b"needle"
        with pytest.raises(WaitTimeout, match=r"b'other' did not come within 0\.05 s"):
            asyncio.run(tcp_echo_server.async_wait_received(b"other", timeout=0.05))

    def test_what_cannot_be_waited_for_is_refused(self, tcp_echo_server):
        for wrong in ("text", 5, re.compile("text")):
            with pytest.raises(SettingError, match="wait for bytes, a pattern of bytes"):
                tcp_echo_server.wait_received(wrong)


def test_a_connection_keeps_no_reference_to_the_engine_when_closed(tcp_echo_server):
    with socket.create_connection(tcp_echo_server.address) as client:
        client.sendall(b"x")
        (record,) = tcp_echo_server.wait_connections(1)
    tcp_echo_server.wait_closed()
    tcp_echo_server.stop()
    assert record._connection is None
