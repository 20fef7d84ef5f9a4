"""The report as SARIF 2.1.0, which code hosts and editors show at the line.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import datetime
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from pytest_sockets.printable import printable
from pytest_sockets.reports.advice import advice
from pytest_sockets.reports.baseline_keys import key_of
from pytest_sockets.reports.json_report import sort_key
from pytest_sockets.reports.overview import headline
from pytest_sockets.reports.repository import Repository
from pytest_sockets.reports.status_text import STATUS_WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_sockets.leaks.findings import Finding
    from pytest_sockets.reports.run import Run

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_RULES: Final = {
    "open": ("SocketLeftOpen", "A socket is open after its owner's teardown."),
    "unclosed": ("SocketNeverClosed", "A socket was closed only by the interpreter when its object died."),
}
_LEVELS: Final = {"error": "error", "warn": "warning", "off": "note"}
_LOGICAL: Final = {
    "test": "function",
    "fixture": "function",
    "class": "type",
    "module": "module",
    "import": "module",
}
_MOST: Final = 25_000
"""The number of results of a run that GitHub accepts."""


def render_sarif(run: Run, environment: Mapping[str, str] | None = None) -> str:
    """Return the whole report as text, pure ASCII, with a final newline."""
    repository = Repository(run.environment.rootdir, environment)
    findings = sorted(run.findings, key=sort_key)
    sarif_run: dict[str, Any] = {
        "tool": {"driver": {"name": "pytest-sockets", "version": run.version or "0", "rules": _rules(run)}},
        "invocations": [_invocation(run)],
        "originalUriBaseIds": {"SRCROOT": {"description": {"text": "The root of the repository."}}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, run, repository) for finding in findings[:_MOST]],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [sarif_run]}, indent=2) + "\n"


def _rules(run: Run) -> list[dict[str, Any]]:
    modes = {"open": run.mode.leaks, "unclosed": run.mode.unclosed}
    return [
        {
            "id": kind,
            "name": name,
            "shortDescription": {"text": text},
            "defaultConfiguration": {"level": _LEVELS[modes[kind]], "enabled": modes[kind] != "off"},
        }
        for kind, (name, text) in _RULES.items()
    ]


def _invocation(run: Run) -> dict[str, Any]:
    """Return the invocation. It says what the run did not look for, since an empty list of results is not a proof."""
    notes = [headline(run), *run.counts, *run.not_looked_for, *run.baseline_changes, *run.internal_errors]
    invocation: dict[str, Any] = {
        "executionSuccessful": run.looked and not run.incomplete,
        "commandLine": printable(" ".join(run.environment.command)),
        "toolExecutionNotifications": [
            {"level": "note", "message": {"text": printable(note)}} for note in notes
        ],
    }
    if run.environment.started:
        start = run.environment.started
        invocation["startTimeUtc"] = _moment(start)
        invocation["endTimeUtc"] = _moment(start + run.environment.duration)
    return invocation


def _moment(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _result(finding: Finding, run: Run, repository: Repository) -> dict[str, Any]:
    mode = run.mode.unclosed if finding.kind == "unclosed" else run.mode.leaks
    location = repository.locate(finding)
    logical = {
        "name": printable(finding.owner_name.rpartition("::")[2] or finding.owner_name),
        "fullyQualifiedName": printable(finding.owner_name),
        "kind": _LOGICAL.get(finding.owner_kind, "member"),
    }
    place: dict[str, Any] = {"logicalLocations": [logical]}
    if location is not None:
        place["physicalLocation"] = {
            "artifactLocation": {"uri": _uri(location.file), "uriBaseId": "SRCROOT"},
            "region": {"startLine": location.line},
        }
    socket = finding.socket
    status = STATUS_WORDS.get(socket.status, "open")
    verb = "left open by" if finding.kind == "open" else "never closed by"
    text = f"{socket.protocol} socket {verb} {finding.owner} ({status}). Fix: {advice(finding)}."
    result: dict[str, Any] = {
        "ruleId": finding.kind,
        "ruleIndex": list(_RULES).index(finding.kind),
        "level": "note" if finding.known else _LEVELS[mode],
        "message": {"text": printable(text)},
        "locations": [place],
        "baselineState": "unchanged" if finding.known else "new",
        "partialFingerprints": {"ownerAndOpeningFunction/v1": _fingerprint(finding)},
        "properties": {
            "socket": printable(str(socket)),
            "nodeid": printable(finding.nodeid),
            "worker": finding.worker,
            **{
                printable(f"annotation/{key}"): printable(str(text))
                for key, text in finding.annotations.items()
            },
        },
    }
    if finding.stack:
        result["stacks"] = [_stack(finding)]
    return result


def _stack(finding: Finding) -> dict[str, Any]:
    frames = [
        {
            "location": {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(frame.file)},
                    "region": {"startLine": max(1, frame.line)},
                },
                "logicalLocations": [{"name": printable(frame.function)}],
            }
        }
        for frame in finding.stack
    ]
    return {"message": {"text": "The calls that opened the socket, innermost first."}, "frames": frames}


def _uri(file: str) -> str:
    if Path(file).is_absolute():
        return "file://" + quote(file.encode("utf-8", "surrogateescape"))
    return quote(file.encode("utf-8", "surrogateescape"))


def _fingerprint(finding: Finding) -> str:
    key = "\0".join(key_of(finding))
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
