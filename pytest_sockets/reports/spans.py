"""What a report with a timeline shows: the time of each test and the life of each socket."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pytest_sockets.leaks.findings import Frame


@dataclasses.dataclass(frozen=True, slots=True)
class TestSpan:
    """One test's time on one worker; seconds since the epoch."""

    __test__: ClassVar = False  # a test module that imports this name must not collect it

    nodeid: str
    start: float
    stop: float
    outcome: str
    worker: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class SocketLife:
    """One socket's life, gathered only when a report with a timeline is asked for; seconds since the epoch.

    `closed` is None if the socket outlived the run; it is the moment at which the socket was seen to be gone, which is the
    object's death or the end of the owner, never earlier than the true close.
    """

    tuple_text: str
    protocol: str
    status: str
    """The last status that was seen."""
    opened: float
    closed: float | None
    owner: str
    opened_at: Frame | None = None
    leak: str | None = None
    """`open` or `unclosed` if it is a finding."""
    worker: str | None = None
    judged: float | None = None
    """For a leak: when its owner's teardown had ended; from then on it should not have been there. None if unknown."""
