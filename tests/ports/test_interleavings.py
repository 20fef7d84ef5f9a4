"""Whatever several processes do in whatever order: a kept port is its keeper's alone, and a free one is found."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

EXAMPLES = int(os.environ.get("SOCKETS_EXAMPLES", "12"))
PORTS = 6
PEERS = 3


def nth(which, ports):
    """One of them, chosen by number: hypothesis repeats choices, and the pool draws other ports each time."""
    return sorted(ports)[which % len(ports)]


class Interleavings(RuleBasedStateMachine):
    """Four books: who keeps a port, who listens on it, who released it while it was listened on or while it was held."""

    make_peer = peers = low = kind = lingers = None

    @initialize()
    def start(self):
        for peer in self.peers:
            peer.reset()
            peer.age = 0
        self.kept, self.served, self.left, self.lingering = {}, {}, {}, {}

    @property
    def taken(self):
        return self.kept.keys() | self.served.keys() | self.left.keys() | self.lingering.keys()

    @rule(who=st.integers(0, PEERS - 1), protocol=st.sampled_from(["both", "tcp"]))
    def reserve(self, who, protocol):
        if len(self.taken) == PORTS:  # then a process gives up what lingers for its children
            for port in [port for port, keeper in self.lingering.items() if keeper == who]:
                del self.lingering[port]
        if len(self.taken) == PORTS:
            with pytest.raises(Exception, match=r"no port of .* is free"):
                self.peers[who].reserve(protocol)
            return
        port = self.peers[who].reserve(protocol)
        assert port not in self.taken
        self.kept[port] = who

    @precondition(lambda self: self.kept)
    @rule(which=st.integers(0, PORTS - 1))
    def release(self, which):
        port = nth(which, self.kept)
        who = self.kept.pop(port)
        still_listening = self.peers[who].release(port)
        assert still_listening == (port in self.served)
        if still_listening:
            self.left[port] = who
        elif self.lingers:
            self.lingering[port] = who

    @precondition(lambda self: self.kept.keys() - self.served.keys())
    @rule(which=st.integers(0, PORTS - 1), reuse=st.booleans())
    def bind(self, which, reuse):
        port = nth(which, self.kept.keys() - self.served.keys())
        self.peers[self.kept[port]].bind(port, reuse)
        self.served[port] = self.kept[port]

    @precondition(lambda self: self.served)
    @rule(which=st.integers(0, PORTS - 1))
    def close(self, which):
        port = nth(which, self.served)
        self.peers[self.served.pop(port)].close(port)

    @rule(who=st.integers(0, PEERS - 1))
    def fork(self, who):
        """A child that takes a port for itself and ends; its parent's ports are neither its own nor lost."""
        answer = self.peers[who].fork_and_reserve()
        if len(self.taken) == PORTS:
            assert "is free" in answer["error"]
        else:
            assert answer["port"] not in self.taken
            assert answer["kept"] == []

    @rule(who=st.integers(0, PEERS - 1))
    def kill(self, who):
        """A process that is killed has nothing any more."""
        if self.peers[who].age < 8:  # a new one costs 100 ms
            self.peers[who].age += 1
            return
        self.peers[who].kill()
        self.peers[who] = self.new_peer()
        for book in (self.kept, self.served, self.left, self.lingering):
            for port in [port for port, keeper in book.items() if keeper == who]:
                del book[port]

    @invariant()
    def what_the_processes_keep_is_in_the_books(self):
        if self.peers and hasattr(self, "kept"):
            for who, peer in enumerate(self.peers):
                assert set(peer.kept()) == {port for port, keeper in self.kept.items() if keeper == who}

    @classmethod
    def new_peer(cls):
        peer = cls.make_peer(cls.low, cls.low + PORTS - 1, *cls.kind)
        peer.age = 0
        return peer


def run(make_peer, low, *kind, lingers=False, **more):
    class Machine(Interleavings):
        pass

    Machine.make_peer, Machine.low, Machine.kind, Machine.lingers = (
        staticmethod(make_peer),
        low,
        kind,
        lingers,
    )
    Machine.peers = [Machine.new_peer() for _ in range(PEERS)]
    limits = settings(
        max_examples=EXAMPLES,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        **more,
    )
    run_state_machine_as_test(Machine, settings=limits)


@pytest.mark.parametrize("kind", ["abstract", "file", "held"])
def test_any_interleaving_of_several_processes_keeps_the_promise(make_peer, block, tmp_path, kind):
    """For abstract names, for a lock file, and where ports are held."""
    options = {
        "abstract": ["abstract"],
        "file": [str(tmp_path / "ports.lock")],
        "held": ["abstract", "held"],
    }[kind]
    run(make_peer, block(PORTS), *options, lingers=kind == "held")


def test_the_twin_without_locks_an_interleaving_is_found_that_breaks_it(make_peer, block):
    with pytest.raises(AssertionError, match=r"assert \d+ not in "):
        run(
            make_peer,
            block(PORTS),
            "abstract",
            "unlocked",
            phases=[Phase.generate],
            report_multiple_bugs=False,
        )
