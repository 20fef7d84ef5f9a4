"""Pools, processes beside the test's own, and network namespaces."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pytest_sockets.ports import placeholders
from pytest_sockets.ports.locks import FileLocks
from pytest_sockets.ports.pool import PortPool
from pytest_sockets.ports.ranges import PortRanges, Span, default_ranges, read_kernel

PEER = Path(__file__).with_name("peer.py")
PROJECT = Path(__file__).resolve().parents[2]


class PeerError(Exception):
    """The other process could not do it."""


class Peer:
    """The process of peer.py: `peer.reserve()`, `peer.bind(port)` ... run there."""

    def __init__(self, low, high, kind, *options, wrapper=()):
        self.process = subprocess.Popen(
            [*wrapper, sys.executable, str(PEER), str(low), str(high), kind, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
        )

    def __getattr__(self, name):
        return lambda *arguments: self.call(name, *arguments)

    def call(self, name, *arguments):
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps([name, *arguments]), file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline() or '{"error": "it ended"}')
        if "error" in answer:
            raise PeerError(answer["error"])
        return answer["result"]

    def kill(self):
        self.process.kill()
        self.end()

    def end(self):
        for pipe in (self.process.stdin, self.process.stdout):
            pipe.close()
        self.process.wait(10)


@pytest.fixture(scope="session")
def _blocks(tmp_path_factory):
    """Spans of ports for runs of these tests only: several of them at once, say one for each Python, must not meet.

    Not in the usual pool's range, and with locks of its own: the pools under test lock the same ports.
    """
    pool = PortPool(
        PortRanges((Span(20000, 24999),)), locks=FileLocks(Path(tempfile.gettempdir(), "sockets-tests.lock"))
    )
    yield pool
    pool.close()


@pytest.fixture
def block(_blocks):
    """`block(n)`: the lowest of n consecutive ports for this test."""
    taken = []

    def lowest(n):
        block = _blocks.reserve_block(n)
        taken.extend(block)
        return block[0].port

    yield lowest
    for reservation in taken:
        reservation.release()


@pytest.fixture
def make_peer(block):
    """Starts `Peer`s and ends them."""
    with contextlib.ExitStack() as stack:

        def make(low=None, high=None, kind="abstract", *options, wrapper=()):
            if low is None:
                low = high = block(1)
            peer = Peer(low, high, kind, *options, wrapper=wrapper)
            stack.callback(peer.end)
            return peer

        yield make


@pytest.fixture
def make_pool(block):
    """Makes pools and closes them; without arguments the usual range. Closes before `block` releases the ports."""
    with contextlib.ExitStack() as stack:

        def make(low=None, high=None, *, held=False, **more):
            span = Span(low, high) if low else None
            ranges = PortRanges((span,), (span,) if held else ()) if span else default_ranges(read_kernel())
            pool = PortPool(ranges, **more)
            stack.callback(pool.close)
            return pool

        yield make


@pytest.fixture
def pool(make_pool):
    """A pool over the usual range."""
    return make_pool()


@pytest.fixture
def held_pool(make_pool, block):
    """A pool that must hold every port, as on a host whose ephemeral range leaves none outside."""
    low = block(40)
    pool = make_pool(low, low + 39, held=True)
    yield pool
    pool.close()
    assert not placeholders._placed, "the pool's end must let go of every port"


@pytest.fixture
def has_placeholder():
    """`has_placeholder(port)`: whether this process has a placeholder on the TCP or UDP port."""
    return lambda port: any(placed == port for placed, _ in placeholders._placed)


@pytest.fixture
def namespace():
    """The words that run a command in a new network namespace with loopback up, as `sh -c` script prefix."""
    if sys.platform != "linux" or os.geteuid() or not shutil.which("unshare") or not shutil.which("ip"):
        pytest.skip("a network namespace needs root, unshare and ip")
    if subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode:
        pytest.skip("this container may not make network namespaces")

    def words(*, ephemeral="32768 60999", more=""):
        setup = f'ip link set lo up; echo "{ephemeral}" > /proc/sys/net/ipv4/ip_local_port_range; {more} exec "$@"'
        return ["unshare", "-n", "sh", "-c", setup, "sh"]

    return words


@pytest.fixture
def shared_namespace(namespace):
    """`shared_namespace(ephemeral)`: the words that run commands in one new network namespace with that ephemeral range."""
    with contextlib.ExitStack() as stack:

        def make(ephemeral):
            keeper = subprocess.Popen(
                [*namespace(ephemeral=ephemeral), "sh", "-c", "echo up; exec cat"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            stack.enter_context(keeper)
            assert keeper.stdout.readline() == b"up\n"
            return ["nsenter", "-n", "-t", str(keeper.pid)]

        yield make
