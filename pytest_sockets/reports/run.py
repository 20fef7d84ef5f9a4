"""What a run gathered, on the controller: the one thing that every report is made from."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_sockets.leaks.findings import Finding
    from pytest_sockets.reports.spans import SocketLife, TestSpan


@dataclasses.dataclass(eq=False, repr=False, match_args=False)  # compiled in every run that opens a socket
class Run:
    """Everything that was gathered, in the order of arrival."""

    version: str
    mode: str
    tests_seen: int = 0
    """Only when a report or a baseline wants them."""
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

    @property
    def eventful(self) -> bool:
        """Whether there is more to say than the totals."""
        said = self.findings or self.unmatched_rules or self.vanished or self.notes or self.troubles
        return bool(said or self.known_leaks)

    def totals(self) -> str:
        """One short line: what was opened, given, started and leaked."""
        of_children = sum(finding.process is not None for finding in self.findings)
        # What no Python code opened is counted only if it leaks.
        others = sum(finding.opened_at is None and finding.process is None for finding in self.findings)
        leaked = f"{len(self.findings)} leaked" + (
            f" ({of_children} by child processes)" if of_children else ""
        )
        parts = [f"{_number(self.opened_total + others, 'socket')} opened", leaked]
        if self.ports_given:
            parts.append(f"{_number(self.ports_given, 'port')} given")
        if self.servers_started:
            parts.append(f"{_number(self.servers_started, 'server')} started")
        return "sockets: " + ", ".join(parts)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
