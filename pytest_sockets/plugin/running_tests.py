"""When did each test run, and how did it end? Combined from its three reports, for the timeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sockets.reports.spans import TestSpan

if TYPE_CHECKING:
    import pytest


class RunningTests:
    """The tests that run now, by node id and xdist worker."""

    def __init__(self) -> None:
        self._outcomes: dict[tuple[str, str | None], str] = {}
        self._starts: dict[tuple[str, str | None], float] = {}

    def add(self, report: pytest.TestReport) -> TestSpan | None:
        """Add a report. Return the test's span if that was its last one, else None."""
        node = getattr(report, "node", None)
        worker = node.gateway.id if node is not None else None
        key = (report.nodeid, worker)
        self._starts.setdefault(key, report.start)
        if report.when == "call" or report.outcome != "passed":
            self._outcomes.setdefault(key, report.outcome)
            if report.failed:
                self._outcomes[key] = "failed" if report.when == "call" else "error"
        if report.when != "teardown":
            return None
        outcome = self._outcomes.pop(key, "passed")
        return TestSpan(report.nodeid, self._starts.pop(key), report.stop, outcome, worker)
