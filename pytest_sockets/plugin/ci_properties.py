"""Attach a test's leaks to its teardown report as plain data, for junit XML, json-report and pytest-html."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_sockets.printable import printable
from pytest_sockets.reports import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from pytest_sockets.plugin.payload import Leak

MOST: Final = 20
"""The number of leaks of one test that are listed one by one; the total is always given."""


def attach(config: pytest.Config, report: pytest.TestReport, leaks: Sequence[Leak]) -> None:
    """Attach properties in every mode, so that a build server also sees warnings. Leaks of the baseline are left out."""
    findings = [leak.finding for leak in leaks if not leak.known]
    if not findings:
        return
    report.user_properties.append(("sockets_leaked", str(len(findings))))
    lines = (
        printable(f"{finding.kind}: {finding.socket}, owner {finding.owner}, opened at {finding.place}")
        for finding in findings[:MOST]
    )
    report.user_properties.extend(("sockets_leak", line) for line in lines)
    if config.pluginmanager.hasplugin("html"):
        extra = {
            "name": "leaked sockets", "format_type": "text", "content": text.message(findings),
            "mime_type": "text/plain", "extension": "txt",
        }  # fmt: skip
        report.extras = [*getattr(report, "extras", ()), extra]  # type: ignore[attr-defined]
