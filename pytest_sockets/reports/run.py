"""What a run gathered, on the controller: the one thing that every report is made from."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pytest_sockets.leaks.findings import Finding, Frame


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


@dataclasses.dataclass(slots=True)
class Run:
    """Everything that was gathered, in the order of arrival."""

    version: str
    mode: str
    tests_seen: int = 0
    opened_sockets: int = 0
    """Tests that opened at least one socket."""
    opened_total: int = 0
    """Sockets that were opened."""
    findings: list[Finding] = dataclasses.field(default_factory=list)
    tests: list[TestSpan] = dataclasses.field(default_factory=list)
    """Only when a report with a timeline is asked for."""
    lives: list[SocketLife] = dataclasses.field(default_factory=list)
    listening: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    """Ports left listening when the run ended: endpoint and process."""
    unmatched_rules: list[str] = dataclasses.field(default_factory=list)
    known_leaks: int = 0
    """Findings that the baseline lists; they are not in `findings`."""
    vanished: list[str] = dataclasses.field(default_factory=list)
    """Entries of the baseline that did not occur."""
    ports_given: int = 0
    servers_started: int = 0
    notes: list[str] = dataclasses.field(default_factory=list)
    """What pytest-sockets did beside reporting."""
    troubles: list[str] = dataclasses.field(default_factory=list)
    """What pytest-sockets itself could not do."""

    @property
    def leaking(self) -> int:
        """How many tests have at least one finding."""
        return len({finding.nodeid for finding in self.findings})
