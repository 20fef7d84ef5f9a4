"""Waiting for what a server sees: at once when it is so, a clear text when it is not, on asyncio and trio too."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest
import trio

from pytest_sockets import faults
from pytest_sockets.errors import QueryError, SettingError, WaitTimeout


def test_wait_connections_gives_the_records(tcp_echo_server):
    """As soon as that many have come."""
    tcp_echo_server.connect()
    tcp_echo_server.connect()
    assert len(tcp_echo_server.wait_connections(2)) == 2


def test_it_wakes_promptly(tcp_echo_server, stopwatch):
    """When it happens, not at the end of the timeout."""
    clients = []
    timer = threading.Timer(0.3, lambda: clients.append(tcp_echo_server.connect()))
    watch = stopwatch()
    timer.start()
    tcp_echo_server.wait_connections(1)
    assert 0.29 < watch.seconds < 2
    timer.join()


def test_too_few_connections_say_how_many_came_and_which(tcp_echo_server, clients):
    """The text has what is true instead."""
    clients.exchange(tcp_echo_server.connect(), b"hello")
    with pytest.raises(WaitTimeout) as caught:
        tcp_echo_server.wait_connections(3, timeout=0.05)
    lines = str(caught.value).splitlines()
    assert (
        lines[0] == f"tcp echo server 127.0.0.1:{tcp_echo_server.port}: 1 of 3 connections came within 0.05 s"
    )
    assert "5 bytes in b'hello', 5 out, open" in lines[1]
    assert "likely cause: the client connects elsewhere" in lines[-1]
    assert isinstance(caught.value, TimeoutError)


@pytest.mark.parametrize("n", [-1, 1.5, "2", None, True])
def test_a_number_that_is_none_is_refused(tcp_echo_server, n):
    """At once, also in asyncio; none at all is a number."""
    with pytest.raises(SettingError, match=f"^n={n!r}: use a whole number, 0 or more$"):
        tcp_echo_server.wait_connections(n)
    with pytest.raises(SettingError, match="use a whole number"):
        asyncio.run(tcp_echo_server.async_wait_connections(n))
    assert tcp_echo_server.wait_connections(0) == ()


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf"), "1", None, True])
def test_a_timeout_that_is_none_is_refused(tcp_echo_server, timeout):
    """By every wait, also if what it waits for is so already."""
    server, refused = tcp_echo_server, "is not a number of seconds; use 0 or more"
    with pytest.raises(QueryError, match=refused):
        server.wait_connections(0, timeout=timeout)
    with pytest.raises(QueryError, match=refused):
        server.wait_closed(timeout=timeout)
    with pytest.raises(QueryError, match=refused):
        asyncio.run(server.async_wait_connections(0, timeout=timeout))
    with pytest.raises(QueryError, match=refused):
        asyncio.run(server.async_wait_closed(timeout=timeout))
    if timeout is not None:  # that waits for ever, as in the socket module
        with pytest.raises(QueryError, match=refused):
            server.connect(timeout=timeout)


def test_who_is_still_open_is_named(tcp_echo_server):
    """Five lines at most."""
    for _ in range(7):
        tcp_echo_server.connect()
    tcp_echo_server.wait_connections(7)
    with pytest.raises(WaitTimeout) as caught:
        tcp_echo_server.wait_closed(timeout=0.05)
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("7 of 7 connections are still open after 0.05 s")
    assert lines[1:6] == [f"  {record}" for record in tcp_echo_server.connections[:5]]
    assert lines[6] == "  and 2 more"


def test_a_hang_is_named_as_the_likely_cause(tcp_echo_server):
    """The fault in force explains it."""
    with tcp_echo_server.faults(faults.Hang()):
        tcp_echo_server.connect()
        tcp_echo_server.wait_connections(1)
        with pytest.raises(WaitTimeout, match=r"faults in force: Hang\(after=0, seconds=None\)"):
            tcp_echo_server.wait_closed(timeout=0.05)


def test_datagrams_are_waited_for_alike(udp_echo_server):
    """For UDP the number is of datagrams."""
    with pytest.raises(WaitTimeout, match="0 of 1 datagrams came"):
        udp_echo_server.wait_connections(1, timeout=0.05)


async def visit(server) -> None:
    """Both waiters, their success and their failure; the same code on either library."""
    with socket.create_connection(server.address):
        (record,) = await server.async_wait_connections(1)
        with pytest.raises(WaitTimeout, match="are still open"):
            await server.async_wait_closed(timeout=0.05)
        with pytest.raises(WaitTimeout, match="1 of 2 connections"):
            await server.async_wait_connections(2, timeout=0.05)
    await server.async_wait_closed()
    assert record.closed_by == "client"


def test_async_waiters_on_asyncio(tcp_echo_server):
    """And the loop goes on meanwhile."""

    async def main() -> int:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.001)

        ticker = asyncio.ensure_future(tick())
        await visit(tcp_echo_server)
        ticker.cancel()
        return ticks

    assert asyncio.run(main()) > 10


def test_async_waiters_on_trio(tcp_echo_server):
    """Cancellable, as trio expects."""
    trio.run(visit, tcp_echo_server)

    async def cancelled() -> bool:
        with trio.move_on_after(0.05) as scope:
            await tcp_echo_server.async_wait_connections(9, timeout=5)
        return scope.cancelled_caught

    assert trio.run(cancelled)
