"""The results of a process besides its findings. Imported with the first thing that is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sockets.plugin.results import COUNTS

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from pytest_sockets.plugin.payload import Payload
    from pytest_sockets.ports.pool import PortPool


class Counts:
    """The ports, servers and notes of this process."""

    def __init__(self) -> None:
        self.port_pools: list[PortPool] = []
        self.servers = 0
        self.notes: list[str] = []
        self.last_looks: list[Callable[[], None]] = []
        """Called before the notes are reported; each may add one."""

    def add_to(self, payload: Payload) -> None:
        """Add the counts to the process's last payload."""
        for look in self.last_looks:
            look()
        payload.ports_given += sum(pool.given for pool in self.port_pools)
        payload.servers_started += self.servers
        payload.notes.extend(self.notes)


def counts(config: pytest.Config) -> Counts:
    """Return the counts of this run in this process."""
    return config.stash.setdefault(COUNTS, Counts())
