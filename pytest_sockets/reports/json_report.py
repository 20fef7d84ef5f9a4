"""The report for machines: `schema: 1`, sorted, the same text for the same findings whatever worker found them first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pytest_sockets.leaks.findings import Finding
    from pytest_sockets.reports.run import Run

SCHEMA: Final = 1

_NOT_IN_SCHEMA = ("held_by", "note")
"""What findings carry for people; a strict reader of schema 1 would refuse unknown keys."""


def render_json(run: Run) -> str:
    """The whole report as text, pure ASCII, with a final newline.

    `leaks` is sorted by test, owner, opening line and socket, so that two reports can be compared with diff.
    """
    report = {
        "schema": SCHEMA,
        "pytest_sockets": run.version,
        "mode": run.mode,
        "tests": {"seen": run.tests_seen, "opened_sockets": run.opened_sockets, "leaking": run.leaking},
        "leaks": [_leak(finding) for finding in sorted(run.findings, key=sort_key)],
    }
    return json.dumps(report, indent=2) + "\n"


def _leak(finding: Finding) -> dict[str, Any]:
    return {key: value for key, value in finding.as_json().items() if key not in _NOT_IN_SCHEMA}


def sort_key(finding: Finding) -> tuple[Any, ...]:
    """Orders findings by what stays the same from run to run first, and by port, fd and worker last."""
    place = finding.opened_at
    return (
        finding.nodeid,
        finding.owner_kind,
        finding.owner_name,
        (place.file, place.line, place.function) if place else ("", 0, ""),
        finding.kind,
        finding.socket.protocol,
        finding.socket.status,
        str(finding.socket.local),
        str(finding.socket.remote or ""),
        finding.socket.fd or -1,
        finding.worker or "",
    )
