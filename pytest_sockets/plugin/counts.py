"""What a process tells beside its findings, and the keys under which it tells: light, since every run needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from pytest_sockets.plugin.batches import Batch
    from pytest_sockets.ports.pool import PortPool


OUTPUT: Final = "sockets"
"""The key of a process's last batch in an xdist worker's output; a report carries its batch in an attribute of this name."""
USAGE_ERROR: Final = "sockets_usage_error"
"""The key of a mark that cannot be used, found where the tests are collected."""
NOTHING: Final[dict[str, Any]] = {"opened": 0}
"""The batch of a process that has nothing to tell."""


class Counts:
    """Of this process: what the fixtures gave out."""

    def __init__(self) -> None:
        self.port_pools: list[PortPool] = []
        self.servers = 0
        self.notes: list[str] = []

    def add_to(self, batch: Batch) -> None:
        """Put them on the process's last batch."""
        batch.ports_given += sum(pool.given for pool in self.port_pools)
        batch.servers_started += self.servers
        batch.notes.extend(self.notes)


_COUNTS: Final = pytest.StashKey[Counts]()


def counts(config: pytest.Config) -> Counts:
    """The counts of this run in this process."""
    return config.stash.setdefault(_COUNTS, Counts())


def known_counts(config: pytest.Config) -> Counts | None:
    """The same; None if there was nothing to count."""
    return config.stash.get(_COUNTS, None)
