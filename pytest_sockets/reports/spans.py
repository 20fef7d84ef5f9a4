"""The data of a timeline: the time of each test and the life of each socket."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pytest_sockets.leaks.findings import Frame


@dataclasses.dataclass(frozen=True, slots=True)
class TestSpan:
    """The time of one test on one worker, in seconds since the epoch."""

    __test__: ClassVar = False  # a test module that imports this name must not collect it

    nodeid: str
    start: float
    stop: float
    outcome: str
    worker: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class SocketLife:
    """The life of one socket, gathered only for a report with a timeline; times in seconds since the epoch.

    `closed` is None if the socket outlived the run. Otherwise it is the moment when the plugin noticed the close: the
    object's death or the end of the owner. It is never earlier than the true close.
    """

    tuple_text: str
    protocol: str
    status: str
    """The last observed status."""
    opened: float
    closed: float | None
    owner: str
    opened_at: Frame | None = None
    leak: str | None = None
    """`open` or `unclosed` for a finding."""
    worker: str | None = None
    judged: float | None = None
    """For a leak, the end of its owner's teardown, after which the socket should be closed. None if unknown."""
