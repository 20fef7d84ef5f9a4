"""Annotations and the step summary of GitHub Actions.

The commands and their escapes are those of https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from pytest_sockets.printable import printable, shortened
from pytest_sockets.reports.advice import advice
from pytest_sockets.reports.grouping import by_opening_line
from pytest_sockets.reports.markdown_report import render_markdown
from pytest_sockets.reports.repository import Repository
from pytest_sockets.reports.run import number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_sockets.leaks.findings import Finding
    from pytest_sockets.reports.grouping import Group
    from pytest_sockets.reports.run import Run

MOST: Final = 10
"""GitHub shows ten annotations of each level for a step and drops the others."""
_MOST_OWNERS: Final = 5
_LONGEST: Final = 200


def annotation_lines(run: Run, environment: Mapping[str, str] | None = None) -> list[str]:
    """Return a command for each opening line of new leaks: an error in mode `error`, else a warning."""
    repository = Repository(run.environment.rootdir, environment)
    lines: dict[str, list[str]] = {"error": [], "warning": []}
    for group in by_opening_line(run.new):
        level = "error" if _mode(run, group.first) == "error" else "warning"
        lines[level].append(_command(level, group, repository))
    return [line for level in lines.values() for line in level[:MOST]]


def _mode(run: Run, finding: Finding) -> str:
    return run.mode.unclosed if finding.kind == "unclosed" else run.mode.leaks


def _command(level: str, group: Group, repository: Repository) -> str:
    first = group.first
    location = repository.locate(first)
    statuses = sorted({finding.socket.status for finding in group.findings} - {"NONE"})
    what = number(len(group.findings), f"{first.socket.protocol} socket")
    title = f"{what} {'left open' if first.kind == 'open' else 'never closed'}"
    if statuses:
        title += f" ({', '.join(statuses)})"
    names = [f"{name} ({count})" if count > 1 else name for name, count in group.owners]
    owners = names[:_MOST_OWNERS] + (
        [f"{len(names) - _MOST_OWNERS} more"] if len(names) > _MOST_OWNERS else []
    )
    message = "\n".join(
        printable(shortened(line, _LONGEST))
        for line in (f"Opened at {first.place} {group.whose}", *owners, f"Fix: {advice(first)}")
    )
    properties = {"title": f"pytest-sockets: {printable(title)}"}
    if location is not None:
        properties = {"file": location.file, "line": str(location.line), **properties}
    text = ",".join(f"{name}={_escaped_property(value)}" for name, value in properties.items())
    return f"::{level} {text}::{_escaped(message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escaped_property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def write_step_summary(run: Run, environment: Mapping[str, str] | None = None) -> list[str]:
    """Append the markdown report to the runner's summary file. Return each problem as one sentence."""
    name = (os.environ if environment is None else environment).get("GITHUB_STEP_SUMMARY")
    if not name:
        return []
    data = (render_markdown(run) + "\n").encode("utf-8", "backslashreplace")
    try:
        fd = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), 0o644)
        with os.fdopen(fd, "ab") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return [f"the step summary was not written: {name} is not a regular file"]
            file.write(data)
    except OSError as error:
        return [f"the step summary {name} was not written: {error.strerror or error}"]
    return []
