"""Correct uses of the public names. Both type checkers must accept every line."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import assert_type

import pytest_sockets
from pytest_sockets import (
    Authority,
    Certificate,
    ClosedBy,
    ConnectionRecord,
    DatagramRecord,
    EchoServer,
    EchoServerFactory,
    Endpoint,
    FaultProxy,
    FaultProxyFactory,
    Finding,
    Holder,
    Listener,
    Mode,
    PortFactory,
    PortProtocol,
    ProbeResult,
    Released,
    Scope,
    ScriptedConnection,
    ScriptedServer,
    ScriptedServerFactory,
    ServerProcess,
    ServerProcessFactory,
    SocketEntry,
    SocketProtocol,
    SocketsView,
    SocketTable,
    Status,
    Transport,
    faults,
)


def greet(conn: ScriptedConnection) -> None:
    conn.send(b"220\\r\\n")


def use_fixtures(
    sockets: SocketsView,
    free_port: int,
    free_port_factory: PortFactory,
    closed_port: int,
    blackhole_port: int,
    tcp_echo_server: EchoServer,
    echo_server_factory: EchoServerFactory,
    session_echo_server_factory: EchoServerFactory,
    fault_proxy_factory: FaultProxyFactory,
    sockets_tls: Authority,
    server_process_factory: ServerProcessFactory,
    scripted_server_factory: ScriptedServerFactory,
) -> None:
    process = server_process_factory(["redis-server", "--port", "{port}"], protocol="tcp", timeout=5)
    assert_type(process, ServerProcess)
    assert_type(process.port, int)
    assert_type(scripted_server_factory(greet, transport="unix"), ScriptedServer)
    assert_type(free_port_factory(), int)
    assert_type(free_port_factory("tcp", host="127.0.0.1"), int)
    assert_type(free_port_factory.block(3, "udp"), list[int])
    assert_type(free_port_factory.release(free_port), Released)
    assert_type(free_port_factory.listener(), Listener)
    assert_type(echo_server_factory("udp", host="::1", port=free_port), EchoServer)
    assert_type(session_echo_server_factory(faults=[faults.Latency(0.1)]), EchoServer)
    assert_type(fault_proxy_factory(tcp_echo_server.address, faults=[faults.Reset(after=3)]), FaultProxy)
    assert_type(sockets_tls.ca_pem, bytes)
    certificate = sockets_tls.issue("api.test", "127.0.0.1")
    assert_type(certificate, Certificate)
    assert_type(certificate.cert_file, Path)
    assert_type(certificate.client_context, ssl.SSLContext)
    assert_type(
        echo_server_factory(
            "tls", context=certificate, alpn=["h2"], client_certificate="optional"
        ).client_context,
        ssl.SSLContext,
    )
    assert_type(sockets.table("tree"), SocketTable)
    assert_type(sockets.new("ESTABLISHED"), SocketTable)
    assert_type(sockets.probe(("127.0.0.1", closed_port)), ProbeResult)
    assert_type(sockets.probe(blackhole_port) == "filtered", bool)
    assert_type(sockets.who_holds(free_port, "udp"), list[Holder])
    assert_type(sockets.wait_listening(free_port, protocol="udp"), SocketTable)


def use_each_transport(factory: EchoServerFactory, certificate: Certificate) -> None:
    EchoServer("tcp", host="::1", port=80, greeting=b"220", max_buffer=1, backlog=1, record=1)
    EchoServer("udp", host="::1", port=80, reply=bytes.upper, faults=[faults.Drop(0.1)], record=1)
    EchoServer("unix", host="@name", greeting=b"220", reply=lambda data: data[:1])
    EchoServer("tls", port=80, context=certificate, minimum_version=ssl.TLSVersion.TLSv1_3)
    assert_type(factory("unix", greeting=b"220"), EchoServer)
    assert_type(factory("udp", reply=lambda data: None), EchoServer)
    assert_type(factory("udp", reply=lambda data, record: bytes(record.size)), EchoServer)
    assert_type(factory("tcp", reply=lambda data, record: bytes(record.bytes_in)), EchoServer)


def read_a_finding(finding: Finding) -> None:
    assert_type(finding.socket, SocketEntry)
    finding.annotations["ticket"] = "JIRA-12"


def use_servers(server: EchoServer) -> None:
    record = server.connections[0]
    assert_type(record, ConnectionRecord)
    assert_type(record.closed_by, ClosedBy | None)
    assert record.closed_by == "client reset" or record.closed_by == "fault:Reset"
    assert_type(server.datagrams[0], DatagramRecord)
    assert_type(server.wait_connections(2), tuple[ConnectionRecord, ...])
    with server, server.faults(faults.Close()), server.refuse():
        assert_type(server.url("redis"), str)


def use_values(table: SocketTable) -> None:
    entry = table[0]
    assert_type(entry, SocketEntry)
    assert_type(entry.local, Endpoint)
    assert_type(entry.protocol, SocketProtocol)
    assert_type(entry.status, Status)
    assert_type(table.with_status("LISTEN", "TIME_WAIT"), SocketTable)
    assert_type(pytest_sockets.socket_table("system") + table, SocketTable)
    assert 8080 in table and ("127.0.0.1", 8080) in table


def use_without_pytest() -> None:
    with pytest_sockets.reserve_port("tcp") as port:
        assert_type(port, int)
    with PortFactory() as factory:
        assert_type(factory(), int)
    with pytest_sockets.no_leaks(grace=0.1, kinds=("tcp", "unix")):
        pass
    if pytest_sockets.probe(("localhost", 80), timeout=0.5) == "open":
        pytest_sockets.wait_no_connections(80, protocol="tcp", timeout=1)
    pytest_sockets.assert_not_listening(80, protocol="udp")


def name_words(
    transport: Transport, protocol: PortProtocol, status: Status, scope: Scope, mode: Mode
) -> tuple[EchoServer, SocketTable, bool]:
    pytest_sockets.who_holds(80, protocol)
    return EchoServer(transport), pytest_sockets.socket_table(scope).with_status(status), mode == "off"
