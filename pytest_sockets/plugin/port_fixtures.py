"""The fixtures that reserve ports, and their shared pool. The engine is imported on first use."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Final

import pytest

from pytest_sockets.errors import SettingError
from pytest_sockets.plugin.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sockets.ports.factory import PortFactory
    from pytest_sockets.ports.pool import PortPool, Released
    from pytest_sockets.ports.ranges import PortRanges


__all__ = [
    "blackhole_port", "closed_port", "free_port", "free_port_factory", "pytest_configure",
    "pytest_report_header", "pytest_sessionstart",
]  # fmt: skip
"""The only names that pytest inspects, see `HookObject`."""

_POOL: Final = pytest.StashKey["PortPool"]()


def pytest_configure(config: pytest.Config) -> None:
    """Check the range that the user set. Everything else waits for the first port."""
    if config.stash[SETTINGS].ports is not None:
        _ranges(config)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Register the replacements of other plugins' fixtures last, since the last plugin wins.

    pytest reads the fixtures of plugins, and then those of conftest files, in its own `pytest_sessionstart`, which runs
    later.
    """
    if session.config.stash[SETTINGS].override_ports:
        from pytest_sockets.plugin import override_ports

        session.config.pluginmanager.register(override_ports, override_ports.__name__)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Return one line if ports come from a port server, or need placeholders inside the ephemeral range."""
    from pytest_sockets.ports.port_server import VARIABLE, port_server_address

    address = port_server_address()
    if address is not None:
        return f"sockets: free ports come from the port server at {address} ({VARIABLE})"
    ranges = _ranges(config)
    if not ranges.needs_placeholders:
        return None
    return (
        f"sockets: free ports ({ranges}) lie in the kernel's ephemeral range, so placeholders keep them until they are "
        "bound; before a child process binds one without SO_REUSEADDR: free_port_factory.release(port)"
    )


def port_pool(config: pytest.Config) -> PortPool:
    """Return the pool of this run, created on first use."""
    pool = config.stash.get(_POOL, None)
    if pool is None:
        from pytest_sockets import lookups
        from pytest_sockets.plugin.counts import counts
        from pytest_sockets.ports.process_pool import make_pool

        pool = config.stash[_POOL] = make_pool(_ranges(config))
        counts(config).port_pools.append(pool)
        config.add_cleanup(pool.close)
        before, lookups.port_fixture = lookups.port_fixture, functools.partial(_fixture_of, pool)
        config.add_cleanup(functools.partial(setattr, lookups, "port_fixture", before))
    return pool


def _fixture_of(pool: PortPool, port: int) -> str | None:
    """Return a likely cause for a port in use: two fixtures of a test that request `free_port` get the same number."""
    reservation = pool.reservation_of(port)
    label = reservation.label if reservation is not None else ""
    if label == "free_port_factory":
        return f"{port} is a port of {label}, which keeps it until the session ends; call it again for a second one"
    if label in ("closed_port", "blackhole_port"):
        return f"{port} is this test's {label}, which no server can bind; use free_port for a server"
    return f"{port} is this test's {label}; use free_port_factory for a second one" if label else None


def one_port(request: pytest.FixtureRequest, protocol: str = "both") -> Iterator[int]:
    """Yield a port for the fixture of this request, reserved until its teardown."""
    reservation = port_pool(request.config).reserve(protocol)
    reservation.label = request.fixturename or ""
    yield reservation.port
    give_back(request, reservation.release())


def give_back(request: pytest.FixtureRequest, released: Released | None) -> None:
    """Remember a released port on which a socket still listens, so that the run can report it."""
    if released is not None and released.still_listening:
        from pytest_sockets.plugin import still_listening

        still_listening.remember(request, released)


@pytest.fixture
def free_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port that is free on TCP and UDP, IPv4 and IPv6, and stays reserved until the test ends.

    All fixtures of a test that request it get the same port. Use `free_port_factory` for more than one.
    """
    yield from one_port(request)


@pytest.fixture(scope="session")
def free_port_factory(request: pytest.FixtureRequest) -> Iterator[PortFactory]:
    """`free_port_factory(protocol="both", host=None)`: a free port, reserved until the session ends or `.release(port)`.

    `.block(n)` returns n consecutive ports. `.listener(host)` returns a listening socket to pass to a server.
    """
    from pytest_sockets.ports.factory import PortFactory

    factory = PortFactory(port_pool(request.config), label="free_port_factory")
    yield factory
    for released in factory.close():
        give_back(request, released)


@pytest.fixture
def closed_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port that refuses every TCP connection, and that no other process can bind until the test ends."""
    from pytest_sockets.ports import unreachable_ports

    closed = unreachable_ports.closed_port(port_pool(request.config))
    closed.reservation.label = "closed_port"
    yield closed.port
    give_back(request, closed.close())


@pytest.fixture
def blackhole_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port on which every TCP connect to 127.0.0.1, ::1 or localhost times out; skips where the system cannot do that."""
    from pytest_sockets.ports import unreachable_ports

    try:
        hole = unreachable_ports.blackhole_port(port_pool(request.config))
    except unreachable_ports.CannotHang as reason:
        pytest.skip(f"blackhole_port: {reason}")
    hole.reservation.label = "blackhole_port"
    yield hole.port
    give_back(request, hole.close())


def _ranges(config: pytest.Config) -> PortRanges:
    from pytest_sockets.ports import ranges

    settings = config.stash[SETTINGS]
    kernel = ranges.read_kernel()
    if settings.ports is None:
        return ranges.default_ranges(kernel)
    try:
        return ranges.chosen_ranges(*settings.ports, kernel, workers=_workers(config))
    except SettingError as error:
        raise pytest.UsageError(f"pytest-sockets: {error.at(settings.origins['ports'])}") from None


def _workers(config: pytest.Config) -> int:
    """Return how many pytest-xdist workers share the range on this host, as far as known."""
    count = os.environ.get("PYTEST_XDIST_WORKER_COUNT") or config.getoption("numprocesses", None) or 1
    return int(count) if str(count).isdecimal() else 1


def __dir__() -> list[str]:
    return __all__
