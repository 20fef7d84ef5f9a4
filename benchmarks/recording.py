"""A pytest plugin that writes each test's outcome to the file named by REAL_SUITES_OUTCOMES. Loaded with `-p recording`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

_outcomes: dict[str, list[str]] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Set-up and teardown count only where they did not pass."""
    if report.when == "call" or report.outcome != "passed":
        what = report.outcome if report.when == "call" else f"{report.when} {report.outcome}"
        _outcomes.setdefault(report.nodeid, []).append("xfailed" if hasattr(report, "wasxfail") else what)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Only the controlling process writes."""
    if not hasattr(session.config, "workerinput"):
        Path(os.environ["REAL_SUITES_OUTCOMES"]).write_text(json.dumps(_outcomes))
