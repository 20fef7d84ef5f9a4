"""What the fixtures gave out, and what must be told of it when the run ends."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from pytest_sockets.plugin.batches import Batch
    from pytest_sockets.ports.pool import PortPool


@dataclasses.dataclass(slots=True)
class Counts:
    """Of this process."""

    port_pools: list[PortPool] = dataclasses.field(default_factory=list)
    servers: int = 0
    notes: list[str] = dataclasses.field(default_factory=list)

    def add_to(self, batch: Batch) -> None:
        """Put them on the process's last batch."""
        batch.ports_given += sum(pool.given for pool in self.port_pools)
        batch.servers_started += self.servers
        batch.notes.extend(self.notes)


_COUNTS: Final = pytest.StashKey[Counts]()


def counts(config: pytest.Config) -> Counts:
    """The counts of this run in this process."""
    return config.stash.setdefault(_COUNTS, Counts())
