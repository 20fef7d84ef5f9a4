"""UDP: some datagrams are lost, doubled, reordered, late or damaged; which ones depends on the seed alone."""

from __future__ import annotations

import socket

import pytest

from pytest_sockets import faults

COUNT = 10_000
WINDOW = 50


def send_numbered(server, client, count: int = COUNT) -> list[int]:
    """Send `count` numbered datagrams in windows that no kernel buffer overflows; the numbers that came back, in order."""
    came: list[int] = []
    client.setblocking(False)

    def gather() -> None:
        try:
            while True:
                came.append(int(client.recv(100)))
        except BlockingIOError:
            pass

    for number in range(count):
        client.send(b"%d" % number)
        if number % WINDOW == WINDOW - 1:
            server.wait_connections(number + 1)
            gather()
    server.wait_connections(count)
    client.settimeout(0.05)
    try:
        while True:
            came.append(int(client.recv(100)))
    except TimeoutError:
        return came


@pytest.fixture
def lossy(echo_server_factory):
    """Runs `count` numbered datagrams through a server with these faults."""

    def run(*chosen: faults.Fault, count: int = COUNT) -> list[int]:
        server = echo_server_factory("udp", faults=chosen)
        return send_numbered(server, server.connect(), count)

    return run


def test_drop_loses_its_share_and_the_same_ones_with_the_same_seed(lossy):
    """30 % of 10,000, within 2 %."""
    came = lossy(faults.Drop(0.3, seed=1))
    assert 0.28 <= 1 - len(came) / COUNT <= 0.32
    assert lossy(faults.Drop(0.3, seed=1)) == came
    assert lossy(faults.Drop(0.3, seed=2)) != came


def test_without_a_fault_nothing_is_lost(lossy):
    """The twin: what is missing above is the fault's doing."""
    assert lossy() == list(range(COUNT))


def test_drop_of_what_comes_in_is_not_recorded(echo_server_factory, clients):
    """direction="in": the server never saw it; "out": it did, and its answer was lost."""
    for direction, seen in (("in", 0), ("out", 1)):
        server = echo_server_factory("udp", faults=[faults.Drop(direction=direction)])
        client = server.connect()
        client.send(b"x")
        assert clients.gets_nothing(client)
        assert len(server.datagrams) == seen


def test_times_counts_datagrams(lossy):
    """The first three are lost."""
    assert lossy(faults.Drop(times=3), count=10) == [3, 4, 5, 6, 7, 8, 9]


def test_duplicate_sends_copies(lossy):
    """Every one twice, or as often as asked."""
    assert lossy(faults.Duplicate(), count=3) == [0, 0, 1, 1, 2, 2]
    assert lossy(faults.Duplicate(copies=2, times=1), count=2) == [0, 0, 0, 1]


def test_reorder_lets_later_ones_pass(lossy):
    """Nothing is lost; the held one comes after `gap` others."""
    assert lossy(faults.Reorder(times=1), count=4) == [1, 0, 2, 3]
    assert lossy(faults.Reorder(times=1, gap=2), count=4) == [1, 2, 0, 3]
    came = lossy(faults.Reorder(0.3, seed=3), count=200)
    assert sorted(came) == list(range(200))
    assert came != sorted(came)


def test_reorder_does_not_hold_the_last_one_for_ever(udp_echo_server, stopwatch):
    """After `seconds` it comes although nothing followed."""
    client = udp_echo_server.connect()
    with udp_echo_server.faults(faults.Reorder(seconds=0.05)):
        watch = stopwatch()
        client.send(b"last")
        assert client.recv(10) == b"last"
        assert 0.05 <= watch.seconds < 2


def test_latency(udp_echo_server, clients, stopwatch):
    """Datagrams come late."""
    client = udp_echo_server.connect()
    with udp_echo_server.faults(faults.Latency(0.05)):
        watch = stopwatch()
        clients.exchange(client, b"x")
        assert 0.05 <= watch.seconds < 2


def test_truncate_cuts_each_datagram(echo_server_factory):
    """A datagram has no second part."""
    client = echo_server_factory("udp", faults=[faults.Truncate(3)]).connect()
    for payload in (b"abcdef", b"ab"):
        client.send(payload)
        assert client.recv(10) == payload[:3]


def test_corrupt_damages_some(echo_server_factory):
    """The length stays."""
    client = echo_server_factory("udp", faults=[faults.Corrupt(0.5, seed=1)]).connect()
    client.send(b"x" * 100)
    answer = client.recv(200)
    assert len(answer) == 100
    assert 30 < answer.count(b"x") < 70


def test_faults_compose(lossy):
    """Drop, then duplicate what is left: each survivor twice."""
    came = lossy(faults.Drop(0.5, seed=5), faults.Duplicate(), count=100)
    assert came[::2] == came[1::2]
    assert came[::2] == lossy(faults.Drop(0.5, seed=5), count=100)


def test_answers_go_to_who_asked(udp_echo_server):
    """Two clients, kept apart."""
    first, second = udp_echo_server.connect(), udp_echo_server.connect()
    first.send(b"1")
    second.send(b"2")
    assert (first.recv(10), second.recv(10)) == (b"1", b"2")
    assert len({one.sender for one in udp_echo_server.datagrams}) == 2


def test_a_client_that_is_gone_does_not_hurt(udp_echo_server, clients):
    """Its answer bounces as an ICMP error, which is nobody's business."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.sendto(b"x", udp_echo_server.address)
    udp_echo_server.wait_connections(1)
    assert clients.exchange(udp_echo_server.connect(), b"y") == b"y"
