"""Which connections a fault is for, how often it acts, in what order, and that a bad setting says what is wrong."""

from __future__ import annotations

import socket

import pytest

from pytest_sockets import faults
from pytest_sockets.errors import SettingError


def is_reset(client) -> bool:
    """Does the next exchange end in a reset?"""
    try:
        client.sendall(b"x")
        return client.recv(1) != b"x"
    except (ConnectionResetError, BrokenPipeError):
        return True


def test_a_client_still_inside_connect_is_not_reset_there(echo_server_factory):
    """Else connect() would raise in place of the first recv(), now and then, on a loaded machine."""
    server = echo_server_factory(faults=[faults.Reset()])
    slow = object()
    server._engine.connecting.add(slow)
    with socket.create_connection(server.address, timeout=0.1) as client:
        with pytest.raises(TimeoutError):
            client.recv(1)
        server._engine.connecting.discard(slow)
        client.settimeout(5)
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_times_is_for_the_first_so_many(echo_server_factory):
    """Two connections are reset, the third is served: what a retry needs."""
    server = echo_server_factory(faults=[faults.Reset(times=2)])
    assert [is_reset(server.connect()) for _ in range(4)] == [True, True, False, False]


def test_times_counts_what_happened_not_who_came(echo_server_factory, clients):
    """A connection that never gets to `after` bytes uses nothing up."""
    server = echo_server_factory(faults=[faults.Close(after=3, times=1)])
    idle, busy, later = server.connect(), server.connect(), server.connect()
    assert clients.exchange(idle, b"12") == b"12"
    busy.sendall(b"12345")
    assert clients.read(busy, 5) == b"123"
    assert clients.exchange(later, b"12345") == b"12345"


@pytest.mark.parametrize(
    ("connections", "expected"),
    [
        (2, [True, True, False, False]),
        ({1, 3}, [False, True, False, True]),
        (range(1, 3), [False, True, True, False]),
        (None, [True] * 4),
    ],
)
def test_connections_are_counted_as_in_the_records(echo_server_factory, connections, expected):
    """A number is the first so many, a collection the ones with these numbers."""
    server = echo_server_factory(faults=[faults.Reset(connections=connections)])
    assert [is_reset(server.connect()) for _ in range(4)] == expected


def test_faults_act_in_the_order_given(echo_server_factory, clients, stopwatch):
    """Ten bytes late and then the end: the end cannot overtake the bytes, in either order."""
    for order in (
        [faults.Latency(0.1), faults.Close(after=10)],
        [faults.Close(after=10), faults.Latency(0.1)],
    ):
        client = echo_server_factory(faults=order).connect()
        watch = stopwatch()
        client.sendall(b"x" * 20)
        assert clients.read(client, 20) == b"x" * 10
        assert 0.1 <= watch.seconds < 2


def test_order_matters(echo_server_factory, clients):
    """Corrupt before a limit and after it: the same three faults, other bytes on the wire."""
    truncated = echo_server_factory(faults=[faults.Truncate(4), faults.Slice(1, pause=0)]).connect()
    assert clients.exchange(truncated, b"1234") == b"1234"
    late_reset = echo_server_factory(faults=[faults.Reset(), faults.Latency(0.1)]).connect(timeout=0.03)
    with pytest.raises(TimeoutError):
        late_reset.recv(1)
    late_reset.settimeout(1)
    with pytest.raises(ConnectionResetError):
        late_reset.recv(1)


def test_faults_can_be_set_and_taken_away_while_it_runs(tcp_echo_server, clients, stopwatch):
    """Open connections feel them too, and are well again afterwards."""
    client = tcp_echo_server.connect()
    clients.exchange(client, b"x")
    with tcp_echo_server.faults(faults.Latency(0.3)):
        watch = stopwatch()
        clients.exchange(client, b"x")
        assert watch.seconds >= 0.3
        assert tcp_echo_server.faults_in_force == (
            faults.Latency(0.3, seed=tcp_echo_server.faults_in_force[0].seed),
        )
    watch = stopwatch()
    clients.exchange(client, b"x")
    assert watch.seconds < 0.3
    assert tcp_echo_server.faults_in_force == ()


def test_what_a_fault_kept_back_comes_when_it_is_taken_away(tcp_echo_server, clients):
    """Nothing is lost by a hang that ends."""
    client = tcp_echo_server.connect()
    with tcp_echo_server.faults(faults.Hang()):
        client.sendall(b"12345")
        assert clients.gets_nothing(client)
    assert clients.read(client, 5) == b"12345"


@pytest.mark.parametrize(
    ("fault", "already"),
    [
        (faults.Latency(30), b""),
        (faults.Bandwidth(0.1), b""),
        (faults.Slice(1, pause=30), b"o"),
        (faults.Hang(direction="out"), b""),
    ],
)
def test_taking_a_fault_away_keeps_the_order(tcp_echo_server, clients, fault, already):
    """Old bytes first, then new ones, whatever kept them."""
    client = tcp_echo_server.connect()
    with tcp_echo_server.faults(fault):
        client.sendall(b"old")
        assert clients.read(client, len(already)) == already
        assert clients.gets_nothing(client)
    client.sendall(b"new")
    assert already + clients.read(client, 6 - len(already)) == b"oldnew"


def test_a_reset_set_while_it_runs_hits_open_connections(tcp_echo_server):
    """A pool's idle connection breaks: what a reconnect needs."""
    client = tcp_echo_server.connect()
    tcp_echo_server.wait_connections(1)
    with tcp_echo_server.faults(faults.Reset()), pytest.raises(ConnectionResetError):
        client.recv(1)


def test_one_fault_value_serves_many_servers(echo_server_factory):
    """It is only a value: each server counts for itself."""
    fault = faults.Reset(times=1)
    servers = [echo_server_factory(faults=[fault]) for _ in range(2)]
    assert [is_reset(server.connect()) for server in servers] == [True, True]


def test_a_fault_prints_as_it_is_typed():
    """With its seed, which is what makes a failure come again."""
    assert repr(faults.Drop(0.3, seed=7)) == "Drop(rate=0.3, seed=7)"
    assert repr(faults.Reset(after=5, times=2)) == "Reset(after=5, times=2)"
    assert eval(repr(faults.Corrupt(0.5, seed=1, connections={1})), vars(faults)) == faults.Corrupt(
        0.5, seed=1, connections={1}
    )


def test_seeds_differ_and_are_not_those_of_random():
    """Plugins seed `random` alike in every worker."""
    import random

    random.seed(1)
    first = faults.Drop(0.3).seed
    random.seed(1)
    assert faults.Drop(0.3).seed != first


BAD = [
    (lambda: faults.Latency(-1), "Latency(seconds=-1): use 0 or more"),
    (lambda: faults.Latency("1"), "Latency(seconds='1'): use 0 or more"),
    (lambda: faults.Latency(float("nan")), "Latency(seconds=nan): use 0 or more"),
    (lambda: faults.Latency(float("inf")), "Latency(seconds=inf): use 0 or more"),
    (lambda: faults.Latency(1, jitter=-1), "Latency(jitter=-1): use 0 or more"),
    (lambda: faults.Bandwidth(0), "Bandwidth(bytes_per_second=0): use a number above 0"),
    (lambda: faults.Slice(0), "Slice(size=0): use a whole number, 1 or more"),
    (lambda: faults.Slice(2.5), "Slice(size=2.5): use a whole number, 1 or more"),
    (lambda: faults.Slice(1, pause=-1), "Slice(pause=-1): use 0 or more"),
    (lambda: faults.LimitData(-1), "LimitData(size=-1): use a whole number, 0 or more"),
    (lambda: faults.Reset(after=-1), "Reset(after=-1): use a whole number, 0 or more"),
    (lambda: faults.Reset(after=True), "Reset(after=True): use a whole number, 0 or more"),
    (lambda: faults.Reset(times=0), "Reset(times=0): use a whole number, 1 or more"),
    (lambda: faults.Reset(connections=0), "Reset(connections=0): use a number from 1"),
    (lambda: faults.Reset(connections=[]), "Reset(connections=[]): use a number from 1"),
    (lambda: faults.Reset(connections=[-1]), "Reset(connections=[-1]): use a number from 1"),
    (lambda: faults.Reset(connections="1"), "Reset(connections='1'): use a number from 1"),
    (lambda: faults.Reset(direction="up"), 'Reset(direction=\'up\'): use "in", "out" or "both"'),
    (lambda: faults.Hang(seconds=0), "Hang(seconds=0): use a number above 0"),
    (lambda: faults.SlowClose(0), "SlowClose(seconds=0): use a number above 0"),
    (lambda: faults.Corrupt(1.1), "Corrupt(byte_rate=1.1): use a share from 0 to 1, such as 0.3"),
    (lambda: faults.Drop(-0.1), "Drop(rate=-0.1): use a share from 0 to 1, such as 0.3"),
    (lambda: faults.Drop(30), "Drop(rate=30): use a share from 0 to 1, such as 0.3"),
    (lambda: faults.Duplicate(copies=0), "Duplicate(copies=0): use a whole number, 1 or more"),
    (lambda: faults.Reorder(gap=0), "Reorder(gap=0): use a whole number, 1 or more"),
    (lambda: faults.Truncate(None), "Truncate(size=None): use a whole number, 0 or more"),
    (lambda: faults.WrongHost(direction="in"), "a TLS handshake has no direction"),
]


@pytest.mark.parametrize(("make", "message"), BAD, ids=[message for _, message in BAD])
def test_a_bad_setting_names_the_fault_and_the_range(make, message):
    """ValueError, so that `except ValueError` and pytest.raises(ValueError) work."""
    with pytest.raises(ValueError) as caught:
        make()
    assert isinstance(caught.value, SettingError)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("transport", "fault", "message"),
    [
        ("udp", faults.Reset(), "Reset does not work on udp; it works on tcp, tls, unix"),
        ("tcp", faults.Drop(0.5), "Drop does not work on tcp; it works on udp"),
        ("tcp", faults.WrongHost(), "WrongHost does not work on tcp; it works on tls"),
        ("udp", faults.Latency(1, connections=1), "UDP has no connections; use times="),
        ("tcp", faults.Reset, "is no fault; use Reset(...)"),
    ],
)
def test_a_fault_that_cannot_work_there_is_refused(echo_server_factory, transport, fault, message):
    """At the start and while it runs; the server goes on as it was."""
    with pytest.raises(SettingError) as caught:
        echo_server_factory(transport, faults=[fault])
    assert message in str(caught.value)
    server = echo_server_factory(transport)
    with pytest.raises(SettingError):
        server.faults(fault)
    assert server.faults_in_force == ()
