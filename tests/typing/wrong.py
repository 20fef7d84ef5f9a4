"""Wrong uses of the public names. Both type checkers must report every line that ends in "# wrong", and no other."""

from __future__ import annotations

import pytest_sockets
from pytest_sockets import (
    ConnectionRecord,
    EchoServer,
    EchoServerFactory,
    Endpoint,
    FaultProxyFactory,
    Finding,
    PortFactory,
    ScriptedServerFactory,
    ServerProcessFactory,
    SocketEntry,
    SocketsView,
    SocketTable,
    faults,
)
from pytest_sockets import EchoSever  # wrong
from pytest_sockets import port_factory  # wrong
from pytest_sockets.faults import Lateness  # wrong

pytest_sockets.wait_listning(80)  # wrong
pytest_sockets.socket_tabel()  # wrong


def ask_for_ports(free_port_factory: PortFactory) -> None:
    free_port_factory("sctp")  # wrong
    free_port_factory(host=80)  # wrong
    free_port_factory.block("3")  # wrong
    free_port_factory.realease(80)  # wrong
    free_port_factory.listener(backlog="128")  # wrong
    pytest_sockets.reserve_port("unix")  # wrong
    pytest_sockets.no_leaks(0.5)  # wrong
    pytest_sockets.no_leaks(kinds=("http",))  # wrong
    with pytest_sockets.reserve_port() as port:
        port.upper()  # wrong


def make_servers(factory: EchoServerFactory, proxies: FaultProxyFactory) -> None:
    factory("ftp")  # wrong
    factory("tcp", hots="::1")  # wrong
    factory("tcp", greeting="220")  # wrong
    factory("tcp", reply=5)  # wrong
    factory("tcp", reply=lambda data: len(data))  # wrong
    factory(faults=faults.Latency(0.1))  # wrong
    factory().connectoins  # wrong
    EchoServer("tcp", port="80")  # wrong
    EchoServer("tpc")  # wrong
    EchoServer("tcp", alpn=["h2"])  # wrong
    EchoServer(client_certificate="required")  # wrong
    EchoServer("udp", greeting=b"220")  # wrong
    EchoServer("udp", backlog=5)  # wrong
    EchoServer("unix", port=80)  # wrong
    factory("udp", greeting=b"220")  # wrong
    factory("unix", port=80)  # wrong
    factory("tcp", context=None)  # wrong
    EchoServer("tls", client_certificate="always")  # wrong
    EchoServer("tls", alpn=["h2", 1])  # wrong
    EchoServer("tls", context="cert.pem")  # wrong
    EchoServer("tls", minimum_version="TLSv1.3")  # wrong
    faults.Reset(aftr=3)  # wrong
    faults.Latency("0.1")  # wrong
    proxies(("127.0.0.1", 80), fault=[])  # wrong


def start_processes(factory: ServerProcessFactory, scripted: ScriptedServerFactory) -> None:
    factory(["redis-server"], protocol="unix")  # wrong
    factory(["redis-server"], timeuot=5)  # wrong
    factory(["redis-server"]).prot  # wrong
    scripted(None)  # wrong
    scripted(print, transport="udp")  # wrong


def read_a_finding(finding: Finding) -> None:
    finding.sockets  # wrong
    finding.annotations["ticket"] = 12  # wrong


def look_at_records(record: ConnectionRecord) -> None:
    if record.closed_by == "cleint":  # wrong
        pass
    record.bytes_received  # wrong
    record.local.hots  # wrong


def ask_the_table(sockets: SocketsView, table: SocketTable, entry: SocketEntry) -> None:
    sockets.table("host")  # wrong
    sockets.new("LISTENING")  # wrong
    sockets.wait_listening(80, protocol="unix")  # wrong
    sockets.who_holds(80, "sctp")  # wrong
    sockets.listning  # wrong
    pytest_sockets.socket_table("all")  # wrong
    pytest_sockets.assert_listening(80, protocol="unix")  # wrong
    table.with_status("LISTENING")  # wrong
    table.on_port("80")  # wrong
    entry.state  # wrong
    Endpoint("127.0.0.1", "80")  # wrong
    if sockets.probe(80) == "refused":  # wrong
        pass
    if pytest_sockets.probe(80) == "timeout":  # wrong
        pass
    if entry.status == "LISTENING":  # wrong
        pass
    if entry.protocol == "TCP":  # wrong
        pass
