"""`rate=` of every fault: for which share of connections or datagrams it is, the same ones for the same seed."""

from __future__ import annotations

import dataclasses
import traceback

import pytest

from pytest_sockets import EchoServer, faults
from pytest_sockets.errors import SettingError

EVERY = [
    faults.Bandwidth(1e9, rate=0.5), faults.Close(rate=0.5), faults.Corrupt(rate=0.5), faults.Drop(rate=0.5),
    faults.Duplicate(rate=0.5), faults.ExpiredCertificate(rate=0.5), faults.HalfClose(rate=0.5),
    faults.HandshakeHang(rate=0.5), faults.Hang(rate=0.5), faults.Latency(0, rate=0.5), faults.LimitData(0, rate=0.5),
    faults.Reorder(rate=0.5), faults.Reset(rate=0.5), faults.Slice(1, rate=0.5),
    faults.SlowClose(1, rate=0.5), faults.Truncate(0, rate=0.5),
    faults.UntrustedCA(rate=0.5), faults.WrongHost(rate=0.5),
]  # fmt: skip


def test_every_fault_takes_a_rate_and_gets_a_seed_that_its_repr_shows():
    named = {name for name in faults.__all__ if name != "Fault"}
    assert {type(fault).__name__ for fault in EVERY} == named
    for fault in EVERY:
        assert fault.seed is not None
        assert f"rate=0.5, seed={fault.seed})" in repr(fault)


def test_a_fault_that_draws_nothing_has_no_seed_and_equals_its_like():
    assert faults.Close(after=3) == faults.Close(after=3)
    assert repr(faults.Close(after=3)) == "Close(after=3)"
    assert faults.Close(rate=0.5) != faults.Close(rate=0.5)
    assert faults.Close(rate=0.5, seed=1) == faults.Close(rate=0.5, seed=1)


def test_the_same_seed_chooses_the_same_connections(clients):
    def closed(seed):
        with EchoServer(faults=[faults.Close(rate=0.3, seed=seed)], greeting=b"g") as server:
            return [number for number in range(100) if server.connect().recv(1) == b""]

    first = closed(1)
    assert first == closed(1)
    assert first != closed(2)
    assert 10 <= len(first) <= 55


def test_times_counts_the_chosen_ones_only():
    chosen = [number for number in range(100) if faults.Close(rate=0.3, seed=1).is_for(number)]
    with EchoServer(faults=[faults.Close(rate=0.3, seed=1, times=2)], greeting=b"g") as server:
        assert [number for number in range(100) if server.connect().recv(1) == b""] == chosen[:2]


@pytest.mark.parametrize(("rate", "share"), [(0, 0), (1, 20)])
def test_the_bounds_are_never_and_always(rate, share):
    with EchoServer(faults=[faults.Close(rate=rate)], greeting=b"g") as server:
        assert [server.connect().recv(1) for _ in range(20)].count(b"") == share


def test_for_datagrams_it_is_the_share_of_datagrams():
    def cut():
        with EchoServer("udp", faults=[faults.Truncate(1, rate=0.3, seed=5)]) as server:
            client = server.connect()
            answers = []
            for _ in range(100):
                client.send(b"abc")
                answers.append(client.recv(10))
            return answers

    first = cut()
    assert first == cut()
    assert set(first) == {b"a", b"abc"}
    assert 10 <= first.count(b"a") <= 55


@pytest.mark.parametrize("rate", [-0.1, 1.1, "half", True, float("nan")])
@pytest.mark.parametrize("fault", [faults.Close, faults.Drop, faults.WrongHost])
def test_another_rate_is_refused(fault, rate):
    with pytest.raises(SettingError, match=r"rate=.*use a share from 0 to 1"):
        fault(rate=rate)


def test_an_error_of_a_fault_points_at_the_users_line():
    """The line that made the fault, and one frame of the class: the checks behind it are not shown."""
    with pytest.raises(SettingError) as caught:
        faults.Close(after=-1)
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert frames[0].filename == __file__
    assert [frame.name for frame in frames[1:]] == ["call"]


def test_a_fault_can_be_changed_with_replace():
    assert dataclasses.replace(faults.Close(rate=0.5, seed=1), rate=0.1) == faults.Close(rate=0.1, seed=1)
