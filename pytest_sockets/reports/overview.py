"""The headline of a run, with which every report for people begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sockets.reports.grouping import whole_headline

if TYPE_CHECKING:
    from pytest_sockets.reports.run import Run


def headline(run: Run) -> str:
    """Return the run in one sentence. It reports success only if the run looked for leaks and knows of none."""
    new = run.new
    if new:
        return whole_headline(new)
    if not run.looked:
        return "Leaks were not looked for"
    if run.known:
        return "No new leak; all sockets left behind are known"
    if run.ignored:
        return "No leak but the ignored ones"
    return "No leaked socket was found"


def is_good(run: Run) -> bool:
    """Whether the headline is good news."""
    return run.looked and not run.findings and not run.ignored and not run.incomplete
