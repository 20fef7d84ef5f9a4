"""The results of a run, gathered on the controller: the one value from which every report is made."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pytest_sockets.leaks.kinds import UNIX_PATH

if TYPE_CHECKING:
    from pytest_sockets.leaks.findings import Finding
    from pytest_sockets.reports.spans import SocketLife, TestSpan


@dataclasses.dataclass(eq=False, repr=False, match_args=False)
class Mode:
    """The settings that decide what the run looks for."""

    leaks: str = "warn"
    unclosed: str = "off"
    kinds: tuple[str, ...] = ("tcp", "udp")
    scope: str = "tree"
    grace: float = 0.5


@dataclasses.dataclass(eq=False, repr=False, match_args=False)
class Environment:
    """The place and time of the run, gathered only for a report."""

    project: str = ""
    """The name of rootdir."""
    rootdir: str = ""
    pytest: str = ""
    python: str = ""
    platform: str = "linux"
    command: tuple[str, ...] = ()
    started: float = 0.0
    """Seconds since the epoch."""
    duration: float = 0.0
    """Seconds."""


@dataclasses.dataclass(eq=False, repr=False, match_args=False)  # compiled in every run that opens a socket
class Run:
    """Everything that the run gathered, in the order of arrival."""

    version: str
    mode: Mode = dataclasses.field(default_factory=Mode)
    environment: Environment = dataclasses.field(default_factory=Environment)
    tests_seen: int = 0
    """Counted only for a report or a baseline."""
    opened_sockets: int = 0
    """Tests that opened at least one socket."""
    opened_total: int = 0
    """The number of sockets that were opened."""
    findings: list[Finding] = dataclasses.field(default_factory=list)
    """Includes findings that the baseline lists, which are marked."""
    ignored: dict[str, int] = dataclasses.field(default_factory=dict)
    """The number of findings that were not reported, by the rule, default or hook that dropped them."""
    collected: int = 0
    """The number of sockets that outlived their owner and that only the garbage collector closed."""
    tests: list[TestSpan] = dataclasses.field(default_factory=list)
    """Gathered only for a report with a timeline."""
    lives: list[SocketLife] = dataclasses.field(default_factory=list)
    listening: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    """Ports left listening when the run ended: endpoint and process."""
    unmatched_rules: list[str] = dataclasses.field(default_factory=list)
    baseline_changes: list[str] = dataclasses.field(default_factory=list)
    """Differences from the baseline: entries that are gone, fewer or moved."""
    ports_given: int = 0
    servers_started: int = 0
    marked: bool = False
    """Whether detection was off, and a mark turned it on for some tests."""
    incomplete: bool = False
    """Whether a worker crashed, so that its last findings are lost."""
    notes: list[str] = dataclasses.field(default_factory=list)
    """Actions of pytest-sockets besides reporting."""
    internal_errors: list[str] = dataclasses.field(default_factory=list)
    """Failures of pytest-sockets itself."""

    @property
    def new(self) -> list[Finding]:
        """The findings that the baseline does not list."""
        return [finding for finding in self.findings if not finding.known]

    @property
    def known(self) -> list[Finding]:
        """The findings that the baseline lists."""
        return [finding for finding in self.findings if finding.known]

    @property
    def leaking(self) -> int:
        """The number of tests with at least one finding."""
        return len({finding.nodeid for finding in self.findings})

    @property
    def looked(self) -> bool:
        """Whether the run looked for leaks. If not, no report may claim success."""
        return self.mode.leaks != "off" or self.marked

    @property
    def eventful(self) -> bool:
        """Whether there is more to report than the totals."""
        return bool(
            self.findings
            or self.unmatched_rules
            or self.baseline_changes
            or self.notes
            or self.internal_errors
            or self.incomplete
        )

    @property
    def not_looked_for(self) -> list[str]:
        """Return a sentence for each kind of leak that this run could not have found."""
        mode = self.mode
        if not self.looked:
            return ["Leaks were not looked for (--sockets-leaks=off)."]
        lines = []
        if mode.leaks == "off":
            lines.append("Sockets left open were looked for only in tests with a mark (--sockets-leaks=off).")
        missing = [f"{kind.upper()} sockets" for kind in ("tcp", "udp") if kind not in mode.kinds]
        if "unix" not in mode.kinds:
            missing.append("unix sockets without a path" if UNIX_PATH in mode.kinds else "unix sockets")
        if missing:
            names = " and ".join(missing)
            lines.append(
                f"{names[0].upper()}{names[1:]} were not looked for (--sockets-kinds={','.join(mode.kinds)})."
            )
        if mode.unclosed == "off":
            lines.append("Sockets that only the interpreter closed were not named (--sockets-unclosed=off).")
        if self.environment.platform == "win32":
            lines.append("Sockets of C extensions and of child processes are not seen on Windows.")
        elif mode.scope != "tree":
            lines.append(
                "Sockets that child processes left listening were not looked for (--sockets-scope=process)."
            )
        if self.incomplete:
            lines.append("A worker crashed: the leaks of its last test and its session are not known.")
        return lines

    @property
    def counts(self) -> list[str]:
        """Return a sentence each for the numbers of known, ignored and collected sockets that are not zero."""
        lines = []
        if known := len(self.known):
            lines.append(
                f"{number(known, 'known leak')} of the baseline {'is' if known == 1 else 'are'} not new."
            )
        if self.ignored:
            parts = [
                f"{count} by {rule!r}"
                for rule, count in sorted(self.ignored.items(), key=lambda one: -one[1])
            ]
            shown = ", ".join(parts[:5]) + (f", and {len(parts) - 5} more rules" if len(parts) > 5 else "")
            lines.append(f"{number(sum(self.ignored.values()), 'leak')} ignored: {shown}.")
        if self.collected and self.mode.unclosed == "off":
            lines.append(
                f"{number(self.collected, 'socket')} closed only by the garbage collector; "
                "--sockets-unclosed=warn names them."
            )
        return lines

    def totals(self) -> str:
        """Return one short line: how many sockets, ports and servers, and how many leaks."""
        new = self.new
        parts = []
        if self.looked:
            of_children = sum(finding.process is not None for finding in new)
            # Sockets that no Python code opened are counted only if they leak.
            others = sum(finding.opened_at is None and finding.process is None for finding in self.findings)
            parts.append(f"{number(self.opened_total + others, 'socket')} opened")
            parts.append(
                f"{len(new)} leaked" + (f" ({of_children} by child processes)" if of_children else "")
            )
            for count, what in ((len(self.known), "known"), (sum(self.ignored.values()), "ignored")):
                if count:
                    parts.append(f"{count} {what}")
        else:
            parts.append("leaks not looked for (--sockets-leaks=off)")
        if self.ports_given:
            parts.append(f"{number(self.ports_given, 'port')} given")
        if self.servers_started:
            parts.append(f"{number(self.servers_started, 'server')} started")
        return "sockets: " + ", ".join(parts)


def number(count: int, noun: str) -> str:
    """Return `1 socket`, `2 sockets`, `1,200 sockets`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
