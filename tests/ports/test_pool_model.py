"""One pool against a model, with foreign sockets that come and go: what is given is free, and what is free can be given."""

from __future__ import annotations

import contextlib
import errno
import random
import socket

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pytest_sockets.errors import PortUnavailable, SettingError
from pytest_sockets.ports import pool as pool_module

LIMITS = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=40,
    stateful_step_count=40,
    suppress_health_check=list(HealthCheck),
)
PORTS = 8
PROTOCOLS = st.sampled_from(["both", "tcp", "udp"])
PLACES = {
    "127.0.0.1": socket.AF_INET,
    "0.0.0.0": socket.AF_INET,
    "::1": socket.AF_INET6,
}


class Pool(RuleBasedStateMachine):
    """The model: who is kept for which protocol, which foreign sockets are bound where, which ports are left listening."""

    make_pool = low = None

    def __init__(self):
        super().__init__()
        self.before = pool_module._random
        pool_module._random = random.Random(7)  # hypothesis must be able to repeat what it has found
        self.pool = self.make_pool(self.low, self.low + PORTS - 1)
        self.kept: dict[int, object] = {}
        self.given_back: list[object] = []
        self.servers: dict[tuple[int, str, str], socket.socket] = {}
        self.left: set[int] = set()

    def bound(self, port, protocol):
        kinds = ("tcp", "udp") if protocol == "both" else (protocol,)
        return any(key[0] == port and key[1] in kinds for key in self.servers)

    def free(self, protocol):
        span = range(self.low, self.low + PORTS)
        return {
            port
            for port in span
            if port not in self.kept and port not in self.left and not self.bound(port, protocol)
        }

    # -- the pool ----------------------------------------------------------------------------------------------

    @rule(protocol=PROTOCOLS, host=st.sampled_from([None, "127.0.0.1", "localhost"]))
    def reserve(self, protocol, host):
        free = self.free(protocol)
        if not free:
            with pytest.raises(PortUnavailable, match="is free"):
                self.pool.reserve(protocol, host)
            return
        reservation = self.pool.reserve(protocol, host)
        assert reservation.port in free
        self.kept[reservation.port] = reservation

    @rule(protocol=PROTOCOLS, count=st.integers(1, PORTS))
    def reserve_a_block(self, protocol, count):
        free = self.free(protocol)
        starts = [port for port in free if set(range(port, port + count)) <= free]
        if not starts:
            with pytest.raises(PortUnavailable, match="consecutive"):
                self.pool.reserve_block(count, protocol)
            return
        block = self.pool.reserve_block(count, protocol)
        ports = [reservation.port for reservation in block]
        assert ports == list(range(ports[0], ports[0] + count))
        assert ports[0] in starts
        self.kept.update(zip(ports, block, strict=True))

    @precondition(lambda self: self.kept)
    @rule(which=st.integers(0, 99), by_number=st.booleans())
    def release(self, which, by_number):
        port = sorted(self.kept)[which % len(self.kept)]
        reservation = self.kept.pop(port)
        self.given_back.append(reservation)
        released = self.pool.release(port) if by_number else reservation.release()
        listening = self.bound(port, reservation.protocol)
        assert released == (port, reservation.protocol, listening)
        if listening:
            self.left.add(port)

    @precondition(lambda self: self.given_back)
    @rule(which=st.integers(0, 99))
    def release_again(self, which):
        """It does nothing, also when the port is another's by now."""
        assert self.given_back[which % len(self.given_back)].release() is None

    @rule(port=st.integers(0, PORTS - 1))
    def release_what_is_not_kept(self, port):
        if self.low + port not in self.kept:
            with pytest.raises(SettingError, match="is not kept"):
                self.pool.release(self.low + port)

    # -- the world ---------------------------------------------------------------------------------------------

    @rule(
        port=st.integers(0, PORTS - 1),
        protocol=st.sampled_from(["tcp", "udp"]),
        host=st.sampled_from(sorted(PLACES)),
    )
    def serve(self, port, protocol, host):
        """The test's own server, or a stranger's: the kernel decides whether it gets the port."""
        port += self.low
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        taken = any(key[:2] == (port, protocol) and PLACES[key[2]] == PLACES[host] for key in self.servers)
        server = socket.socket(PLACES[host], kind)
        try:
            server.bind((host, port))
            if protocol == "tcp":
                server.listen()
        except OSError as error:
            server.close()
            if error.errno == errno.EADDRINUSE and taken:
                return
            raise
        self.servers[port, protocol, host] = server

    @precondition(lambda self: self.servers)
    @rule(which=st.integers(0, 99))
    def stop_serving(self, which):
        self.servers.pop(sorted(self.servers)[which % len(self.servers)]).close()

    @invariant()
    def what_is_kept_is_known_and_can_be_bound(self):
        assert sorted(self.pool.kept) == sorted(self.kept)
        for port, reservation in self.kept.items():
            if not self.bound(port, reservation.protocol):
                kind = socket.SOCK_DGRAM if reservation.protocol == "udp" else socket.SOCK_STREAM
                with socket.socket(type=kind) as server:
                    server.bind(("", port))

    def teardown(self):
        pool_module._random = self.before
        with contextlib.ExitStack() as stack:
            for server in self.servers.values():
                stack.enter_context(server)
        self.pool.close()
        assert self.pool.kept == ()


def machine(make, low):
    return type("Machine", (Pool,), {"make_pool": staticmethod(make), "low": low})


def test_the_pool_agrees_with_the_model_whatever_happens(make_pool, block):
    """Where ports are held, strangers cannot bind them: that is in test_interleavings."""
    run_state_machine_as_test(machine(make_pool, block(PORTS)), settings=LIMITS)


def test_the_twin_a_pool_that_does_not_look_is_caught(make_pool, block):
    def blind(low, high):
        pool = make_pool(low, high)
        pool.prober.is_free = lambda *arguments: True
        return pool

    limits = settings(LIMITS, phases=[Phase.generate], report_multiple_bugs=False)
    with pytest.raises((AssertionError, OSError, pytest.fail.Exception)):
        run_state_machine_as_test(machine(blind, block(PORTS)), settings=limits)
