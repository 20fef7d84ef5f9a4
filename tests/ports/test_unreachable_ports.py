"""A closed port refuses every connection; a black hole answers none. Nobody can take either."""

from __future__ import annotations

import errno
import socket
import time

import pytest

from pytest_sockets.ports import unreachable_ports


@pytest.fixture
def closed(pool):
    closed = unreachable_ports.closed_port(pool)
    yield closed
    closed.close()


@pytest.fixture
def hole(pool):
    hole = unreachable_ports.blackhole_port(pool)
    yield hole
    hole.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_closed_port_refuses_every_connection(closed, host):
    for _ in range(200):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, closed.port), timeout=5)


@pytest.mark.parametrize("option", [None, socket.SO_REUSEADDR, getattr(socket, "SO_REUSEPORT", None)])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_nobody_can_take_a_closed_port(closed, host, option):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as thief:
        if option is not None:
            thief.setsockopt(socket.SOL_SOCKET, option, 1)
        with pytest.raises(OSError, match="in use") as error:
            thief.bind((host, closed.port))
    assert error.value.errno == errno.EADDRINUSE


def test_a_closed_port_can_be_bound_after_it_is_given_back(pool):
    closed = unreachable_ports.closed_port(pool)
    closed.close()
    socket.create_server(("127.0.0.1", closed.port)).close()
    assert pool.kept == ()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_every_connect_to_a_black_hole_times_out(hole, host):
    for _ in range(3):
        start = time.monotonic()
        with pytest.raises(TimeoutError):
            socket.create_connection((host, hole.port), timeout=0.1)
        assert time.monotonic() - start >= 0.1


def test_the_twin_an_ordinary_listener_with_room_answers(pool):
    port = pool.reserve().port
    with socket.create_server(("127.0.0.1", port), backlog=8):
        socket.create_connection(("127.0.0.1", port), timeout=5).close()


def test_a_black_hole_keeps_hanging_however_many_try(hole):
    clients = []
    for _ in range(100):
        client = socket.socket()
        client.setblocking(False)
        assert client.connect_ex(("127.0.0.1", hole.port)) == errno.EINPROGRESS
        clients.append(client)
    time.sleep(0.1)  # time enough for every answer that could come
    for client in clients:
        with pytest.raises(OSError, match="not connected"):
            client.getpeername()
        client.close()


def test_a_black_hole_is_given_back_whole(pool):
    hole = unreachable_ports.blackhole_port(pool)
    released = hole.close()
    assert released is not None
    assert not released.still_listening
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", hole.port), timeout=5)


def test_where_full_queues_are_answered_the_reason_is_told_and_nothing_stays(pool, monkeypatch):
    monkeypatch.setattr(unreachable_ports, "_connects", lambda client, address: True)
    with pytest.raises(
        unreachable_ports.CannotHang, match="a queue of length 0 took 64 connections on this system"
    ):
        unreachable_ports.blackhole_port(pool)
    assert pool.kept == ()


@pytest.mark.parametrize(("platform", "reason"), [("darwin", "backlog of 0"), ("win32", "after 2 s")])
def test_where_the_system_is_known_to_answer_the_reason_comes_before_any_port(
    pool, monkeypatch, platform, reason
):
    monkeypatch.setattr(unreachable_ports.sys, "platform", platform)
    with pytest.raises(unreachable_ports.CannotHang, match=reason):
        unreachable_ports.blackhole_port(pool)
    assert pool.given == 0
