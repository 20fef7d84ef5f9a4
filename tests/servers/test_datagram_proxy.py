"""Fault proxies speak what their upstream speaks; over UDP each client gets its own answers."""

from __future__ import annotations

import pytest

from pytest_sockets import EchoServer, FaultProxy, faults
from pytest_sockets.errors import SettingError
from pytest_sockets.servers import datagram_proxy


@pytest.mark.parametrize("transport", ["tcp", "udp", "unix", "tls"])
def test_a_proxy_speaks_what_its_upstream_speaks(transport, fault_proxy_factory, echo_server_factory):
    server = echo_server_factory(transport)
    proxy = fault_proxy_factory(server)
    assert proxy.transport == ("tcp" if transport == "tls" else transport)
    if transport != "tls":
        client = proxy.connect()
        client.send(b"through")
        assert client.recv(100) == b"through"
        assert server.received == proxy.received == b"through"


def test_an_address_is_tcp_unless_it_is_said(fault_proxy_factory, udp_echo_server):
    assert fault_proxy_factory(udp_echo_server.address).transport == "tcp"
    client = fault_proxy_factory(udp_echo_server.address, transport="udp").connect()
    client.send(b"through")
    assert client.recv(100) == b"through"


@pytest.mark.parametrize(
    ("upstream", "transport", "message"),
    [
        (("127.0.0.1", 9), "tls", "transport='tls': a proxy is one of: tcp, udp, unix"),
        (("127.0.0.1", 9), "unix", "speaks tcp or udp"),
        ("/tmp/some.sock", "udp", "speaks unix"),
    ],
)
def test_a_transport_that_the_upstream_does_not_speak_is_refused(upstream, transport, message):
    with pytest.raises(SettingError) as caught:
        FaultProxy(upstream, transport=transport)
    assert message in str(caught.value)


def test_a_servers_own_transport_is_known(udp_echo_server, tcp_echo_server):
    with pytest.raises(SettingError, match="speaks udp"):
        FaultProxy(udp_echo_server, transport="tcp")
    with pytest.raises(SettingError, match="speaks tcp"):
        FaultProxy(tcp_echo_server, transport="udp")


def test_each_udp_client_gets_its_own_answers(fault_proxy_factory, udp_echo_server):
    proxy = fault_proxy_factory(udp_echo_server)
    peers = [proxy.connect() for _ in range(20)]
    for number, peer in enumerate(peers):
        peer.send(b"%d" % number)
    assert [peer.recv(10) for peer in peers] == [b"%d" % number for number in range(20)]
    assert len({record.sender for record in udp_echo_server.datagrams}) == 20


def test_the_silent_client_makes_room(fault_proxy_factory, udp_echo_server, monkeypatch):
    monkeypatch.setattr(datagram_proxy, "MOST_CLIENTS", 2)
    proxy = fault_proxy_factory(udp_echo_server)
    for _ in range(10):
        client = proxy.connect()
        client.send(b"x")
        assert client.recv(1) == b"x"
    assert len(proxy._engine._flows) == 2


def test_udp_faults_work_in_front_of_a_service(fault_proxy_factory, udp_echo_server):
    proxy = fault_proxy_factory(
        udp_echo_server, faults=[faults.Drop(times=2), faults.Truncate(3, direction="in")]
    )
    client = proxy.connect()
    client.settimeout(0.1)
    for _ in range(2):
        client.send(b"lost answer")
        with pytest.raises(TimeoutError):
            client.recv(100)
    client.settimeout(5)
    client.send(b"shortened")
    assert client.recv(100) == b"sho"
    assert len(udp_echo_server.datagrams) == 3


def test_nothing_listens_behind_a_udp_proxy(fault_proxy_factory):
    """The service's ICMP error is lost, as between two hosts: the client times out."""
    server = EchoServer("udp")
    server.stop()
    client = fault_proxy_factory(server.address, transport="udp").connect()
    for _ in range(3):
        client.send(b"x")
    client.settimeout(0.1)
    with pytest.raises(TimeoutError):
        client.recv(1)
