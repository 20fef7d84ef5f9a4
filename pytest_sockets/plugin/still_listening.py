"""Report ports on which a socket still listens when their fixture releases them. Imported with the first one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from pytest_sockets.plugin.counts import counts
from pytest_sockets.plugin.hook_object import HookObject
from pytest_sockets.plugin.port_fixtures import port_pool
from pytest_sockets.plugin.settings import SETTINGS

if TYPE_CHECKING:
    from pytest_sockets.ports.pool import Released


class StillListening(NamedTuple):
    """A port on which a socket listened after its fixture and the whole teardown around it had ended.

    `owner` is the fixture, `nodeid` its test ("" for the session).
    """

    port: int
    protocol: str
    owner: str
    nodeid: str


STILL_LISTENING: Final = pytest.StashKey[list[StillListening]]()
"""`config.stash[STILL_LISTENING]`: such ports so far; absent while there are none."""


def remember(request: pytest.FixtureRequest, released: Released) -> None:
    """Remember a port that was released while a socket still listened on it; `SecondLook` checks it again."""
    manager = request.config.pluginmanager
    look = manager.get_plugin(SecondLook.__name__)
    if look is None:
        look = SecondLook(request.config)
        manager.register(look, SecondLook.__name__)
    look.add(request, released)


class SecondLook(HookObject):
    """Checks such ports again after the teardown around their fixture, and notes those that are still in use.

    The fixture of a server may be torn down after that of its port: `def test(echo_server_factory, free_port)`.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._counts = counts(config)
        self._counts.last_looks.append(self._look)
        self._waiting: list[tuple[StillListening, Released]] = []

    def add(self, request: pytest.FixtureRequest, released: Released) -> None:
        """Add a port from the teardown of its fixture."""
        owner, nodeid = request.fixturename or "", request.node.nodeid
        self._waiting.append((StillListening(released.port, released.protocol, owner, nodeid), released))

    def pytest_runtest_logfinish(self) -> None:
        """Check after all teardowns of the test. After an interruption, the check happens when the notes are shown."""
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
                f"port {port_name(found.port, found.protocol)} of {found.owner} was still in use when it was released "
                f"({found.nodeid or 'session'}); it is not reused"
            )
