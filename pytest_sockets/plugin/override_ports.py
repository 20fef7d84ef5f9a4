"""`sockets_override_ports`: the port fixtures of pytest-asyncio and anyio, with ports from this plugin's pool.

An existing suite loses its port races without an edit. The fixtures are registered only if the setting is on, and last,
so that they override other plugins in any order. A fixture of the same name in a conftest.py still takes precedence.
"""

from __future__ import annotations

import collections
import socket
from typing import TYPE_CHECKING, Final

import pytest

from pytest_sockets.plugin.port_fixtures import give_back, one_port, port_pool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sockets.ports.pool import PortPool, Reservation

KEPT: Final = 256
"""The number of ports that a session's factory keeps reserved. Each costs a descriptor, and such suites may request
thousands without releasing one. The oldest is released first, and the factory does not return it again."""
_TRIES: Final = 64


class UnusedPortFactory:
    """The value of those plugins' `*_port_factory` fixtures: a callable that never returns the same port twice."""

    def __init__(self, pool: PortPool, kind: socket.SocketKind) -> None:
        self.kind = kind  # an attribute of anyio's FreePortFactory
        self._pool = pool
        self._protocol = "tcp" if kind == socket.SOCK_STREAM else "udp"
        self._kept: collections.deque[Reservation] = collections.deque()
        self._given: set[int] = set()

    def __call__(self, family: socket.AddressFamily | None = None) -> int:  # noqa: ARG002
        """Return a port that is free on every address, including those of `family`, anyio's argument."""
        reservation = self._pool.reserve(self._protocol)
        for _ in range(_TRIES):  # a pool that has returned each of its ports starts over
            if reservation.port not in self._given:
                break
            reservation.release()
            reservation = self._pool.reserve(self._protocol)
        self._given.add(reservation.port)
        self._kept.append(reservation)
        if len(self._kept) > KEPT:
            self._kept.popleft().release()
        return reservation.port

    def close(self, request: pytest.FixtureRequest) -> None:
        """Release the ports that are still reserved."""
        for reservation in self._kept:
            give_back(request, reservation.release())


def _factory(request: pytest.FixtureRequest, kind: socket.SocketKind) -> Iterator[UnusedPortFactory]:
    factory = UnusedPortFactory(port_pool(request.config), kind)
    yield factory
    factory.close(request)


@pytest.fixture
def unused_tcp_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A free TCP port, reserved until the test ends (pytest-sockets)."""
    yield from one_port(request, "tcp")


@pytest.fixture
def unused_udp_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A free UDP port, reserved until the test ends (pytest-sockets)."""
    yield from one_port(request, "udp")


@pytest.fixture
def free_tcp_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A free TCP port, reserved until the test ends (pytest-sockets)."""
    yield from one_port(request, "tcp")


@pytest.fixture
def free_udp_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A free UDP port, reserved until the test ends (pytest-sockets)."""
    yield from one_port(request, "udp")


@pytest.fixture(scope="session")
def unused_tcp_port_factory(request: pytest.FixtureRequest) -> Iterator[UnusedPortFactory]:
    """Return a different free TCP port at each call (pytest-sockets)."""
    yield from _factory(request, socket.SOCK_STREAM)


@pytest.fixture(scope="session")
def unused_udp_port_factory(request: pytest.FixtureRequest) -> Iterator[UnusedPortFactory]:
    """Return a different free UDP port at each call (pytest-sockets)."""
    yield from _factory(request, socket.SOCK_DGRAM)


@pytest.fixture(scope="session")
def free_tcp_port_factory(request: pytest.FixtureRequest) -> Iterator[UnusedPortFactory]:
    """Return a different free TCP port at each call (pytest-sockets)."""
    yield from _factory(request, socket.SOCK_STREAM)


@pytest.fixture(scope="session")
def free_udp_port_factory(request: pytest.FixtureRequest) -> Iterator[UnusedPortFactory]:
    """Return a different free UDP port at each call (pytest-sockets)."""
    yield from _factory(request, socket.SOCK_DGRAM)
