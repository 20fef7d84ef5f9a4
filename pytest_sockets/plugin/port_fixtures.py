"""The fixtures that give ports, and the pool of this run that they share. The engine is imported on first use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from pytest_sockets.errors import SettingError
from pytest_sockets.plugin.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sockets.ports.factory import PortFactory
    from pytest_sockets.ports.pool import PortPool, Released
    from pytest_sockets.ports.ranges import PortRanges


class StillListening(NamedTuple):
    """A port that was listened on when its fixture and the whole teardown around it had ended.

    `owner` is the fixture, `nodeid` its test ("" for the session).
    """

    port: int
    protocol: str
    owner: str
    nodeid: str


STILL_LISTENING: Final = pytest.StashKey[list[StillListening]]()
"""`config.stash[STILL_LISTENING]`: such ports so far; absent while there are none."""

_POOL: Final = pytest.StashKey["PortPool"]()


def pytest_configure(config: pytest.Config) -> None:
    """Check the range that the user set; nothing else is read or built before the first port is asked for."""
    if config.stash[SETTINGS].ports is not None:
        _ranges(config)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Bring in our versions of other plugins' fixtures, as the last plugin of all: among plugins the last one wins.

    pytest reads the fixtures of plugins and then those of conftest files in its own, later, `pytest_sessionstart`.
    """
    if session.config.stash[SETTINGS].override_ports:
        from pytest_sockets.plugin import override_ports

        session.config.pluginmanager.register(override_ports, override_ports.__name__)


def pytest_report_header(config: pytest.Config) -> str | None:
    """One line if ports come from a port server, or are held because too few lie outside the ephemeral range."""
    from pytest_sockets.ports.port_server import VARIABLE, port_server_address

    address = port_server_address()
    if address is not None:
        return f"sockets: free ports come from the port server at {address} ({VARIABLE})"
    ranges = _ranges(config)
    if not ranges.holding:
        return None
    return (
        f"sockets: free ports ({ranges}) lie in the kernel's ephemeral range and are held until they are bound; before a "
        "child process binds one without SO_REUSEADDR: free_port_factory.release(port)"
    )


def port_pool(config: pytest.Config) -> PortPool:
    """The pool of this run, built on first use."""
    pool = config.stash.get(_POOL, None)
    if pool is None:
        from pytest_sockets.plugin.counts import counts
        from pytest_sockets.ports.pool import PortPool
        from pytest_sockets.ports.port_server import PortServer, port_server_address

        address = port_server_address()
        pool = PortPool(_ranges(config), server=PortServer(address) if address else None)
        config.stash[_POOL] = pool
        counts(config).port_pools.append(pool)
        config.add_cleanup(pool.close)
    return pool


def note_released(request: pytest.FixtureRequest, released: Released | None) -> None:
    """Remember a port that was given back while somebody still listened on it; `SecondLook` judges it."""
    if released is None or not released.still_listening:
        return
    manager = request.config.pluginmanager
    look = manager.get_plugin(SecondLook.__name__)
    if look is None:
        look = SecondLook(request.config)
        manager.register(look, SecondLook.__name__)
    look.add(request, released)


class SecondLook:
    """Looks again at such ports once the teardown around their fixture is over, and notes those that are listened on still.

    A server's fixture that is older than the port's is torn down after it: `def test(echo_server_factory, free_port)`.
    Registered with the first such port: other runs pay for no hook.
    """

    def __init__(self, config: pytest.Config) -> None:
        from pytest_sockets.plugin.counts import counts

        self._config = config
        self._counts = counts(config)
        self._counts.last_looks.append(self._look)
        self._waiting: list[tuple[StillListening, Released]] = []

    def add(self, request: pytest.FixtureRequest, released: Released) -> None:
        """From the teardown of a port's fixture."""
        owner, nodeid = request.fixturename or "", request.node.nodeid
        self._waiting.append((StillListening(released.port, released.protocol, owner, nodeid), released))

    def pytest_runtest_logfinish(self) -> None:
        """The test is over with all its teardowns. Those of an interrupted session are looked at when the notes are told."""
        self._look()

    def _look(self) -> None:
        waiting, self._waiting = self._waiting, []
        pool = port_pool(self._config)
        for found, released in waiting:
            if pool.is_left(released):
                self._note(found)

    def _note(self, found: StillListening) -> None:
        self._config.stash.setdefault(STILL_LISTENING, []).append(found)
        if self._config.stash[SETTINGS].leaks != "off":
            from pytest_sockets.service_names import port_name

            self._counts.notes.append(
                f"port {port_name(found.port, found.protocol)} of {found.owner} was still listened on when it was given "
                f"back ({found.nodeid or 'session'}); it is not given out again"
            )


@pytest.fixture
def free_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port that is free on TCP and UDP, IPv4 and IPv6, and that nobody takes until the test ends."""
    reservation = port_pool(request.config).reserve()
    yield reservation.port
    note_released(request, reservation.release())


@pytest.fixture(scope="session")
def free_port_factory(request: pytest.FixtureRequest) -> Iterator[PortFactory]:
    """`free_port_factory(protocol="both", host=None)`: a free port, kept until the session ends or `.release(port)`.

    `.block(n)` gives n consecutive ports, `.listener(host)` a listening socket to hand over to a server.
    """
    from pytest_sockets.ports.factory import PortFactory

    factory = PortFactory(port_pool(request.config))
    yield factory
    for released in factory.close():
        note_released(request, released)


@pytest.fixture
def closed_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port that refuses every TCP connection and that nobody can take until the test ends."""
    from pytest_sockets.ports import dead_ends

    closed = dead_ends.closed_port(port_pool(request.config))
    yield closed.port
    note_released(request, closed.close())


@pytest.fixture
def blackhole_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port on which every TCP connect to 127.0.0.1, ::1 or localhost times out; skips where the system cannot do that."""
    from pytest_sockets.ports import dead_ends

    try:
        hole = dead_ends.blackhole_port(port_pool(request.config))
    except dead_ends.CannotHang as reason:
        pytest.skip(f"blackhole_port: {reason}")
    yield hole.port
    note_released(request, hole.close())


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
    """How many pytest-xdist workers share the range on this host, as far as known."""
    count = os.environ.get("PYTEST_XDIST_WORKER_COUNT") or config.getoption("numprocesses", None) or 1
    return int(count) if str(count).isdecimal() else 1
