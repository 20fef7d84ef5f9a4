"""The JSON report: `schema: 2`, sorted, the same text for the same findings in any order."""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.reports.advice import advice

if TYPE_CHECKING:
    from pytest_sockets.leaks.findings import Finding, Frame
    from pytest_sockets.reports.run import Run

SCHEMA: Final = 2


def render_json(run: Run) -> str:
    """Return the whole report as text, pure ASCII, with a final newline."""
    return json.dumps(as_report(run), indent=2) + "\n"


def as_report(run: Run) -> dict[str, Any]:
    """Return the report as JSON types.

    `leaks` is sorted by test, owner, opening line and socket, so that `diff` can compare two reports.
    """
    environment, mode = run.environment, run.mode
    return {
        "schema": SCHEMA,
        "pytest_sockets": run.version,
        "pytest": environment.pytest,
        "python": environment.python,
        "platform": environment.platform,
        "started": _moment(environment.started),
        "duration_s": round(environment.duration, 3),
        "command": list(environment.command),
        "mode": {
            "leaks": mode.leaks,
            "unclosed": mode.unclosed,
            "kinds": list(mode.kinds),
            "scope": mode.scope,
            "grace": mode.grace,
        },
        "tests": {"seen": run.tests_seen, "opened_sockets": run.opened_sockets, "leaking": run.leaking},
        "totals": {
            "opened": run.opened_total,
            "leaked": None if mode.leaks == "off" else len(run.new),
            "known": len(run.known),
            "ignored": sum(run.ignored.values()),
            "collected": run.collected,
        },
        "leaks": [_leak(finding, environment.started) for finding in sorted(run.findings, key=sort_key)],
    }


def _moment(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC).isoformat()


def _leak(finding: Finding, started: float) -> dict[str, Any]:
    socket = finding.socket
    leak: dict[str, Any] = {
        "kind": finding.kind,
        "known": finding.known,
        "nodeid": finding.nodeid,
        "owner": {
            "kind": finding.owner_kind,
            "name": finding.owner_name,
            "scope": finding.owner_scope,
            "phase": finding.phase,
            "file": finding.owner_file,
            "line": finding.owner_line,
            "parameter": finding.owner_parameter,
        },
        "socket": {
            "protocol": socket.protocol,
            "family": socket.family,
            "local": list(socket.local),
            "remote": list(socket.remote) if socket.remote else None,
            "status": socket.status,
            "fd": socket.fd,
            "inode": socket.inode,
            "pid": socket.pid,
            "process": finding.process,
        },
        "opened_at": _frame(finding.opened_at) if finding.opened_at else None,
        "stack": [_frame(frame) for frame in finding.stack],
        "held_by": list(finding.held_by),
        "advice": advice(finding),
        "opened_s": _since(finding.opened, started),
        "owner_ended_s": _since(finding.owner_ended, started),
        "worker": finding.worker,
    }
    if finding.annotations:
        leak["annotations"] = {str(key): str(value) for key, value in finding.annotations.items()}
    return leak


def _frame(frame: Frame) -> dict[str, Any]:
    return {"file": frame.file, "line": frame.line, "function": frame.function}


def _since(moment: float | None, started: float) -> float | None:
    return None if moment is None else round(max(0.0, moment - started), 4)


def sort_key(finding: Finding) -> tuple[Any, ...]:
    """Return a key that orders findings by stable facts first, and by port, fd and worker last."""
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
