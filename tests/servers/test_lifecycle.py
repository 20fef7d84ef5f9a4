"""Starting, stopping, refusing, pausing: the port is the server's as long as it says so, and free at once after."""

from __future__ import annotations

import os
import socket
import threading

import pytest

from pytest_sockets import faults
from pytest_sockets.errors import PortUnavailable, ServerFault
from pytest_sockets.real_socket import RealSocket
from pytest_sockets.servers.echo import EchoServer

linux = pytest.mark.skipif(not os.path.exists("/proc/net/tcp"), reason="reads /proc/net/tcp")


def time_waits(port: int) -> int:
    """TIME_WAIT entries whose local port is `port`."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table][1:]
    return sum(1 for row in rows if int(row[1].rpartition(":")[2], 16) == port and row[3] == "06")


def bind_plainly(port: int) -> None:
    """As a server without SO_REUSEADDR would."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", port))
        sock.listen()


@linux
def test_stop_frees_the_port_at_once_and_leaves_no_time_wait():
    """Even with a hundred open connections the next server can bind the port, without SO_REUSEADDR."""
    server = EchoServer()
    peers = [server.connect() for _ in range(100)]
    for peer in peers:
        peer.sendall(b"x")
    server.wait_connections(100)
    port = server.port
    server._clients.clear()  # they stay open: the server ends first
    server.stop()
    assert time_waits(port) == 0
    bind_plainly(port)
    for peer in peers:
        peer.close()


@linux
def test_an_orderly_close_by_the_server_does_leave_time_wait(tcp_echo_server):
    """The twin: who closes first keeps TIME_WAIT."""
    peers = [tcp_echo_server.connect() for _ in range(10)]
    tcp_echo_server.wait_connections(10)
    tcp_echo_server.close_all()
    for peer in peers:
        assert peer.recv(1) == b""
        peer.close()
    assert time_waits(tcp_echo_server.port) > 0


def test_a_running_server_holds_its_port(tcp_echo_server):
    """Twin of "free at once": while it runs nobody else can bind."""
    with pytest.raises(OSError, match="Address already in use"):
        bind_plainly(tcp_echo_server.port)
    with pytest.raises(PortUnavailable, match=f"cannot serve tcp 127.0.0.1:{tcp_echo_server.port}"):
        EchoServer(port=tcp_echo_server.port)


def test_clients_are_reset_by_stop():
    """Who is still connected gets a reset, not a silent end."""
    server = EchoServer()
    with socket.create_connection(server.address) as client:
        server.wait_connections(1)
        server.stop()
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_no_thread_per_server():
    """Fifty servers, one thread, which `threading` does not even list."""
    EchoServer().stop()
    tasks = set(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else set()
    before = threading.active_count()
    servers = [EchoServer() for _ in range(50)]
    if tasks:
        assert set(os.listdir("/proc/self/task")) == tasks
    assert threading.active_count() == before
    for server in servers:
        server.stop()


def test_stop_twice_is_fine_and_records_stay(clients):
    """Teardown code may stop what a test stopped already."""
    server = EchoServer()
    clients.exchange(server.connect(), b"x")
    server.stop()
    server.stop()
    assert server.received == b"x"
    with pytest.raises(ServerFault, match="is stopped"):
        server.refuse()


def test_a_stopped_server_refuses():
    """Nothing listens any more, and `connect()` says why."""
    server = EchoServer()
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(server.address)
    with pytest.raises(ServerFault, match=r"connect\(\): tcp echo server 127.0.0.1:\d+ is stopped"):
        server.connect()


def test_clients_of_connect_are_closed_by_stop(tcp_echo_server):
    """No test has to."""
    client = tcp_echo_server.connect()
    tcp_echo_server.stop()
    assert client.fileno() == -1


@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_refuse_keeps_the_port_and_open_connections(echo_server_factory, clients, transport):
    """New ones get ECONNREFUSED, the old one goes on, `resume` lets in again."""
    server = echo_server_factory(transport)
    old = server.connect()
    server.wait_connections(1)
    server.refuse()
    for _ in range(20):
        with pytest.raises(ConnectionRefusedError):
            server.connect()
    assert clients.exchange(old, b"x") == b"x"
    server.resume()
    assert clients.exchange(server.connect(), b"y") == b"y"


@linux
def test_while_it_refuses_nobody_can_take_the_port(tcp_echo_server):
    """Neither plainly nor with SO_REUSEADDR."""
    with tcp_echo_server.refuse():
        with pytest.raises(OSError, match="Address already in use"):
            bind_plainly(tcp_echo_server.port)
        with RealSocket() as thief:
            thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="Address already in use"):
                thief.bind(tcp_echo_server.address)
    tcp_echo_server.connect()


def test_refusing_udp_answers_port_unreachable(udp_echo_server, clients):
    """A connected UDP client gets ConnectionRefusedError, and echoes again afterwards."""
    client = udp_echo_server.connect()
    with udp_echo_server.refuse():
        client.send(b"x")
        with pytest.raises(ConnectionRefusedError):
            client.recv(10)
    assert clients.exchange(client, b"y") == b"y"
    assert [one.data for one in udp_echo_server.datagrams] == [b"y"]


@pytest.mark.parametrize("transport", ["tcp", "unix", "udp"])
def test_a_paused_server_does_nothing_until_it_resumes(echo_server_factory, clients, transport):
    """Old and new clients wait; nothing is lost."""
    server = echo_server_factory(transport)
    old = server.connect()
    clients.exchange(old, b"0")
    with server.pause():
        new = server.connect()
        old.sendall(b"1")
        new.sendall(b"2")
        assert clients.gets_nothing(old)
        assert clients.gets_nothing(new)
        assert b"".join((server.received,)) == b"0"
    assert clients.read(old, 1) == b"1"
    assert clients.read(new, 1) == b"2"


def test_reset_all_resets_and_serves_on(tcp_echo_server, clients):
    """Open ones are reset, new ones served."""
    client = tcp_echo_server.connect()
    tcp_echo_server.wait_connections(1)
    tcp_echo_server.reset_all()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert clients.exchange(tcp_echo_server.connect(), b"x") == b"x"


def test_close_all_sends_the_rest_first(tcp_echo_server, clients):
    """Eight MiB that wait in the server all arrive before the end, although the client's own data was unread."""
    client = tcp_echo_server.connect()
    data = b"x" * (8 << 20)
    client.sendall(data)
    (record,) = tcp_echo_server.wait_connections(1)
    while record.bytes_in < len(data):  # bounded by the test's timeout of recv: sendall has returned
        record = tcp_echo_server.connections[0]
    tcp_echo_server.close_all()
    assert clients.read(client, len(data) + 1) == data
    assert tcp_echo_server.wait_closed()[0].closed_by == "server"


def test_an_orderly_close_with_unread_data_is_no_reset(echo_server_factory, clients):
    """The client has sent what the server never read, and still gets the answer and b""."""
    server = echo_server_factory(faults=[faults.Close(after=5)])
    client = server.connect()
    client.sendall(b"12345" + b"x" * 500_000)
    assert clients.read(client, 100) == b"12345"
    assert client.recv(1) == b""


def test_udp_has_nothing_to_reset(udp_echo_server):
    """A clear error, no silent nothing."""
    with pytest.raises(ServerFault, match="UDP has no connections to end"):
        udp_echo_server.reset_all()
