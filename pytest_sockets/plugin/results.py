"""Gather the results of the tests' processes, from test reports and from the last payload of each process."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_sockets.table import own_fds

if TYPE_CHECKING:
    from pytest_sockets.plugin.counts import Counts
    from pytest_sockets.plugin.payload import Leak, Payload
    from pytest_sockets.plugin.running_tests import RunningTests
    from pytest_sockets.plugin.settings import Settings
    from pytest_sockets.reports.baseline_check import Ran
    from pytest_sockets.reports.run import Run

OUTPUT: Final = "sockets"
"""The key of a process's last payload in an xdist worker's output, and the attribute for a report's payload."""
USAGE_ERROR: Final = "sockets_usage_error"
"""The key of an invalid mark, found where the tests are collected."""
NOTHING: Final[dict[str, Any]] = {"opened": 0}
"""The payload of a process that has nothing to report."""
COUNTS: Final[pytest.StashKey[Counts]] = pytest.StashKey()
"""`config.stash[COUNTS]`: the ports and servers of this process; absent if there are none."""


class Results:
    """The results of one run so far."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._run: Run | None = None
        self._running: RunningTests | None = None
        self._imports_seen: set[tuple[str, object]] = set()
        self._payloads = 0
        self.tests_seen = 0
        self.leaks: list[tuple[Leak, int]] = []
        """Each with the number of its payload: a test that runs again has another one."""
        self.rule_hits: dict[str, int] = {}
        """The number of matches of each rule of the run."""
        self.ran: Ran | None = None
        """What ran, for a baseline."""
        self.failed_tests: set[str] = set()
        """The tests that failed before their teardown, for a baseline."""
        if wants_timeline(settings):
            from pytest_sockets.plugin.running_tests import RunningTests

            self._running = RunningTests()
        if settings.baseline is not None:
            from pytest_sockets.reports.baseline_check import Ran

            self.ran = Ran(
                kinds=settings.kinds,
                leaks=settings.leaks != "off",
                unclosed=settings.unclosed != "off",
                children=settings.scope == "tree",
            )

    @property
    def any(self) -> bool:
        """Whether anything has arrived that is worth showing."""
        return self._run is not None

    @property
    def run(self) -> Run:
        """The results as the reports show them; created when there are any."""
        if self._run is None:
            from pytest_sockets.reports.run import Run

            self._run = Run(_version() if self._settings.wants_report else "", self._settings.mode())
            self._run.environment.platform = sys.platform
        return self._run

    def on_report(self, report: pytest.TestReport) -> None:
        """Take the plain data from the teardown report, whatever process ran the test."""
        if self._running is not None:
            span = self._running.add(report)
            if span is not None:
                self.run.tests.append(span)
        if self.ran is not None:
            self._note_ran(report, self.ran)
        if report.when != "teardown":
            return
        self.tests_seen += 1
        data = getattr(report, OUTPUT, None)
        if data is not None:
            self.run.opened_sockets += data["opened"] > 0
            self.gather(data)

    def count(self, opened: int) -> None:
        """Count the sockets of a test of this process; its reports need not carry the number."""
        if self._run is None:
            with own_fds.spare():  # for an import, if the test has used up all descriptors
                run = self.run
        else:
            run = self._run
        run.opened_sockets += 1
        run.opened_total += opened
        if self._settings.leaks == "off":
            run.marked = True

    def _note_ran(self, report: pytest.TestReport, ran: Ran) -> None:
        nodeid = report.nodeid
        ran.seen.add(nodeid)
        if report.when == "call" and report.passed:
            ran.passed.add(nodeid)  # the last attempt of a rerun test counts
            self.failed_tests.discard(nodeid)
        elif report.when != "teardown" and report.failed:
            self.failed_tests.add(nodeid)

    def gather(self, data: dict[str, Any]) -> None:
        """Add one process's payload; a payload that cannot be read becomes one line."""
        if data == NOTHING:
            return
        if self._settings.leaks == "off" and data["opened"]:
            self.run.marked = True
        if data.keys() == NOTHING.keys():  # a test that closed its sockets: the usual case
            self.run.opened_total += data["opened"]
            return
        try:
            from pytest_sockets.plugin.payload import Payload

            self._gather(Payload.from_json(data))
        except Exception as error:  # noqa: BLE001  (an internal error never changes the outcome)
            self.record_error("gathering the results of the tests", error)

    def record_error(self, what: str, error: Exception) -> None:
        """Report a failure of this plugin once at the end, and let the run go on."""
        text = f"{what}: {type(error).__name__}: {error}"
        if text not in self.run.internal_errors:
            self.run.internal_errors.append(text)

    def lost_a_process(self) -> None:
        """Note that an xdist worker crashed: its last payload is lost."""
        self.run.incomplete = True

    @property
    def incomplete(self) -> bool:
        """Whether the last payload of a process is lost."""
        return self._run is not None and self._run.incomplete

    def _gather(self, payload: Payload) -> None:
        run = self.run
        run.opened_total += payload.opened
        run.lives.extend(payload.lives)
        run.ports_given += payload.ports_given
        run.servers_started += payload.servers_started
        run.listening.extend(payload.listening)
        run.notes.extend(payload.notes)
        run.internal_errors.extend(
            text for text in payload.internal_errors if text not in run.internal_errors
        )
        run.collected += payload.collected
        for rule, hits in payload.rule_hits.items():
            self.rule_hits[rule] = self.rule_hits.get(rule, 0) + hits
        for reason, count in payload.ignored.items():
            run.ignored[reason] = run.ignored.get(reason, 0) + count
        self._payloads += 1
        for leak in payload.leaks:
            self._add_leak(leak)

    def _add_leak(self, leak: Leak) -> None:
        finding = leak.finding
        if finding.owner_kind == "import":
            # Every xdist worker imports every module: count the same line once.
            place = (finding.owner_name, finding.opened_at)
            if place in self._imports_seen and finding.worker:
                return
            self._imports_seen.add(place)
        self.leaks.append((leak, self._payloads))


def wants_timeline(settings: Settings) -> bool:
    """Whether a report needs each test's time and each socket's life."""
    return any(path.suffix == ".html" for path in settings.reports)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("pytest-sockets")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"
