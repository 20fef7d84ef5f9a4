"""Where few ports lie outside the ephemeral range a port is held: bound, not listening, let go when it is bound here."""

from __future__ import annotations

import asyncio
import errno
import http.server
import os
import socket
import socketserver
import subprocess
import sys
import threading

import pytest

from pytest_sockets.errors import PortUnavailable
from pytest_sockets.ports import placeholders, unreachable_ports
from pytest_sockets.ports.factory import PortFactory


def plain_server(port, host="127.0.0.1"):
    """A server that does not set SO_REUSEADDR."""
    server = socket.socket()
    server.bind((host, port))
    server.listen()
    return server


def test_a_held_port_cannot_be_bound_by_another_process(held_pool, make_peer, has_placeholder):
    """What the kernel refuses to a plain bind of N it never gives to bind(0) or connect() of anybody."""
    port = held_pool.reserve().port
    assert has_placeholder(port)
    with pytest.raises(Exception, match="Address already in use"):
        make_peer().bind(port)


def test_the_twin_a_port_that_is_only_locked_can_be_bound_by_another_process(make_pool, make_peer, block):
    low = block(100)
    port = make_pool(low, low + 99).reserve().port
    make_peer().bind(port)


def test_a_plain_server_of_this_process_gets_the_port_the_moment_it_binds(held_pool):
    port = held_pool.reserve().port
    with plain_server(port):
        socket.create_connection(("127.0.0.1", port)).close()
    with socketserver.TCPServer(("127.0.0.1", port), socketserver.BaseRequestHandler):
        pass


def test_a_plain_udp_server_of_this_process_gets_the_port(held_pool):
    port = held_pool.reserve("udp").port
    with socket.socket(type=socket.SOCK_DGRAM) as server, socket.socket(type=socket.SOCK_DGRAM) as client:
        server.bind(("127.0.0.1", port))
        client.sendto(b"ping", ("127.0.0.1", port))
        server.settimeout(5)
        assert server.recv(10) == b"ping"


def test_binding_tcp_does_not_release_udp(held_pool, has_placeholder):
    port = held_pool.reserve().port
    with plain_server(port):
        assert has_placeholder(port)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_an_asyncio_server_listens_beside_the_held_socket(held_pool, host, has_placeholder):
    port = held_pool.reserve().port

    async def serve():
        server = await asyncio.start_server(lambda reader, writer: writer.close(), host, port)
        async with server:
            reader, writer = await asyncio.open_connection(host, port)
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

    asyncio.run(serve())
    assert has_placeholder(port), "it is held still: a second start finds it free"
    asyncio.run(serve())


def test_an_http_server_listens_beside_the_held_socket(held_pool):
    port = held_pool.reserve().port
    with http.server.HTTPServer(("", port), http.server.BaseHTTPRequestHandler):
        socket.create_connection(("127.0.0.1", port)).close()


def test_a_child_with_a_reusing_server_needs_nothing_a_plain_one_needs_release(held_pool, make_peer):
    peer = make_peer()
    port = held_pool.reserve().port
    peer.bind(port, True)
    peer.close(port)
    with pytest.raises(Exception, match="Address already in use"):
        peer.bind(port)
    PortFactory(held_pool).release(port)
    peer.bind(port)


def test_a_released_held_port_is_given_to_no_other_run_while_the_child_has_yet_to_bind(
    make_pool, make_peer, block
):
    low = block(1)
    pool = make_pool(low, low, held=True)
    pool.release(pool.reserve().port)
    with pytest.raises(Exception, match="1 kept by other runs"):
        make_peer(low, low, "abstract", "held").reserve()


def test_a_connect_to_a_held_port_is_refused_and_a_datagram_too(held_pool):
    port = held_pool.reserve().port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as client:
            client.connect((host, port))
            client.settimeout(5)
            client.send(b"ping")
            with pytest.raises(ConnectionRefusedError):
                client.recv(10)


def test_a_port_in_use_is_not_held_by_halves(make_pool, block, has_placeholder):
    low = block(1)
    pool = make_pool(low, low, held=True)
    with socket.socket(type=socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", low))
        with pytest.raises(PortUnavailable):
            pool.reserve()
        assert not has_placeholder(low)
    plain_server(low).close()
    assert pool.reserve().port == low


def test_the_audit_hook_never_disturbs_a_bind(held_pool):
    held_pool.reserve()
    with socket.socket() as sock:
        for nonsense in [(), ("127.0.0.1",), "/no/such", ("127.0.0.1", "80"), ("127.0.0.1", 2**40), None]:
            with pytest.raises((TypeError, OverflowError)):
                sock.bind(nonsense)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind("\0pytest-sockets-test")
    with socket.socket() as sock, pytest.raises(OSError, match=r"assign|available") as error:
        sock.bind(("192.0.2.1", held_pool.kept[0]))
    assert error.value.errno == errno.EADDRNOTAVAIL


def test_a_process_that_holds_nothing_gets_no_audit_hook(block):
    low = block(10)
    code = (
        "import sys; seen = []; sys.addaudithook(lambda e, a: seen.append(e) if e == 'sys.addaudithook' else None)\n"
        "from pytest_sockets.ports.pool import PortPool\n"
        "from pytest_sockets.ports.ranges import PortRanges, Span\n"
        f"span = Span({low}, {low + 9})\n"
        "PortPool(PortRanges((span,))).reserve(); assert not seen, seen\n"
        "PortPool(PortRanges((span,), (span,))).reserve(); assert seen\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=30)


def test_a_forked_child_holds_nothing_and_its_parent_still_does(held_pool, has_placeholder):
    port = held_pool.reserve().port
    child = os.fork()
    if child == 0:
        os._exit(has_placeholder(port) or bool(held_pool.kept))
    assert os.waitpid(child, 0)[1] == 0
    assert has_placeholder(port)
    held_pool.release(port)
    plain_server(port).close()


def test_threads_that_bind_at_once_each_get_their_held_port(held_pool):
    ports = [held_pool.reserve().port for _ in range(16)]
    failures = []

    def bind(port):
        try:
            plain_server(port).close()
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=bind, args=(port,)) for port in ports]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert failures == []


def test_listeners_closed_ports_and_black_holes_work_on_held_ports(held_pool):
    factory = PortFactory(held_pool)
    listener = factory.listener()
    socket.create_connection(listener.address).close()
    closed = unreachable_ports.closed_port(held_pool)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", closed.port), timeout=5)
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="in use"):
            thief.bind(("127.0.0.1", closed.port))
    hole = unreachable_ports.blackhole_port(held_pool)
    with pytest.raises(TimeoutError):
        socket.create_connection(("127.0.0.1", hole.port), timeout=0.05)
    hole.close()
    closed.close()
    factory.close()
    assert held_pool.kept == ()


def test_a_block_of_held_ports(held_pool):
    block = held_pool.reserve_block(20)
    for reservation in block:
        plain_server(reservation.port).close()


def test_released_held_ports_do_not_use_a_small_range_up(make_pool, block):
    low = block(4)
    pool = make_pool(low, low + 3, held=True)
    for _ in range(40):
        pool.release(pool.reserve().port)


def test_the_locks_of_released_held_ports_are_bounded(make_pool, block):
    low = block(1000)
    pool = make_pool(low, low + 999, held=True)
    for _ in range(300):
        pool.release(pool.reserve().port)
    assert len(pool._lingering) == 256


def test_the_hook_runs_no_code_of_the_users_socket(held_pool):
    class Strange(socket.socket):
        @property
        def family(self):
            raise RuntimeError("read")

        type = family

        def getsockopt(self, *arguments):
            raise RuntimeError("read")

    port = held_pool.reserve().port
    with Strange(socket.AF_INET, socket.SOCK_STREAM) as sock:
        socket.socket.bind(sock, ("127.0.0.1", port))
    assert not placeholders._placed.get((port, int(socket.SOCK_STREAM)))


def test_an_exception_that_arrives_in_the_hook_reaches_the_bind(held_pool, monkeypatch):
    """A timeout's exception can come at any line. It must not be lost, or the test hangs."""

    class Timeout(BaseException):
        pass

    def arrives(sock):
        raise Timeout

    port = held_pool.reserve().port
    monkeypatch.setattr(placeholders, "_family", arrives)
    with socket.socket() as sock, pytest.raises(Timeout):
        sock.bind(("127.0.0.1", port))
    with pytest.raises(Timeout):
        held_pool.reserve()  # its own bind, which must leave no socket behind


@pytest.mark.parametrize("address", [("127.0.0.1",), (), ("127.0.0.1", "80"), ("127.0.0.1", [])])
def test_a_wrong_address_stays_the_users_error(held_pool, address):
    held_pool.reserve()
    with socket.socket() as sock, pytest.raises(TypeError, match=r"AF_INET|integer|tuple|str"):
        sock.bind(address)
