"""What is printed about findings: the message of one owner's leaks, and the summary section at the end of a run."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from pytest_sockets.leaks.findings import LEFT_BEHIND, SETUP_RAISED, UNCLOSED
from pytest_sockets.reports.status_text import STATUS_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_sockets.leaks.findings import Finding, Frame
    from pytest_sockets.reports.run import Run

MOST_SOCKETS: Final = 8
"""How many sockets one message describes in full."""
MOST_GROUPS: Final = 20
"""How many groups the summary section lists."""
_MOST_FRAMES: Final = 6
_MOST_NOTES: Final = 3


def headline(findings: Sequence[Finding]) -> str:
    """How many sockets, whose; one line."""
    count = len(findings)
    what = "1 socket" if count == 1 else f"{count} sockets"
    owners = list(dict.fromkeys(finding.owner for finding in findings))
    whose = owners[0] if len(owners) == 1 else f"{len(owners)} owners, first {owners[0]}"
    if all(finding.kind == UNCLOSED for finding in findings):
        return f"{what} never closed by {whose}: only the interpreter did"
    return f"{what} left open by {whose}"


def message(findings: Sequence[Finding]) -> str:
    """The whole message: the headline, then each socket with its line, its holder and the fix."""
    lines = [headline(findings)]
    several = len({finding.owner for finding in findings}) > 1
    groups = _grouped(findings, by_callers=True)
    for group in groups[:MOST_SOCKETS]:
        lines.append("")
        lines.extend(_explained(group, several))
    more = len(groups) - MOST_SOCKETS
    if more > 0:
        lines.extend(
            ["", f"... and {more} more opening lines; --sockets-report=leaks.json lists every socket"]
        )
    return "\n".join(map(_printable, lines))


def short_message(findings: Sequence[Finding]) -> str:
    """The headline and a line for each opening line, for a warning; the summary section has the rest."""
    groups = _grouped(findings)
    lines = [headline(findings)]
    lines.extend(f"  {_counted(group)}, opened at {group[0].place}" for group in groups[:MOST_SOCKETS])
    if len(groups) > MOST_SOCKETS:
        lines.append(f"  ... and {len(groups) - MOST_SOCKETS} more opening lines")
    return "\n".join(map(_printable, lines))


def _printable(line: str) -> str:
    """Command lines, socket paths and file names may hold anything: no escape sequence of theirs reaches a terminal."""
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)


def _grouped(findings: Iterable[Finding], *, by_callers: bool = False) -> list[list[Finding]]:
    """Findings of one owner, kind, status and opening line together, in the order of their first.

    `by_callers`: also those lines of the user's own that called the opening line; one helper may open all of them.
    """
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        key = (
            finding.kind,
            finding.owner,
            finding.process,
            finding.opened_at or finding.socket.local,
            finding.socket.status,
            _callers(finding) if by_callers else None,
        )
        groups.setdefault(key, []).append(finding)
    return list(groups.values())


def _callers(finding: Finding) -> tuple[Frame, ...]:
    """Of the user's own code: paths below rootdir are relative."""
    return tuple(frame for frame in finding.stack if not PurePath(frame.file).is_absolute())


def _explained(group: list[Finding], several_owners: bool) -> Iterator[str]:
    first = group[0]
    times = f"  ({len(group)} sockets of this line; the first is shown)" if len(group) > 1 else ""
    yield f"{first.socket}{_holder(first)}{times}"
    if several_owners:
        yield f"  owner      {first.owner}, during {first.phase}"
    yield f"  why        {_why(first)}"
    yield f"  opened at  {_opened_at(first)}"
    for frame in first.stack[:_MOST_FRAMES]:
        if frame != first.opened_at:
            yield f"             {_short_file(frame.file)}:{frame.line} in {frame.function}"
    for position, text in enumerate(first.held_by):
        yield f"  {'held by  ' if position == 0 else '         '}  {text}"
    notes = dict.fromkeys(finding.note for finding in group if finding.note)
    for note in [*notes][:_MOST_NOTES]:
        yield f"  note       {note}"
    if len(notes) > _MOST_NOTES:
        yield f"             ... and {len(notes) - _MOST_NOTES} more"
    yield f"  fix        {_fix(first)}"


def _short_file(file: str) -> str:
    """A library's file without the place of its installation: urllib3/connection.py, asyncio/streams.py."""
    return re.split(r"(?:site|dist)-packages/|/python3\.\d+t?/", file)[-1]


def _holder(finding: Finding) -> str:
    if finding.process is not None:
        return f" (pid {finding.socket.pid}: {short_command(finding.process, 80)})"
    return f" (fd {finding.socket.fd})"


def short_command(command_line: str, most: int) -> str:
    """A command line without the program's folder, cut in the middle: its end tells more than the path of a Python."""
    program, space, rest = command_line.partition(" ")
    text = f"{program.rpartition('/')[2]}{space}{rest}"
    if len(text) <= most:
        return text
    half = (most - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def _opened_at(finding: Finding) -> str:
    if finding.opened_at is not None:
        prefix = "the child process was started at " if finding.process else ""
        return f"{prefix}{finding.opened_at}"
    if finding.process:
        return "not known: the child process was started without an audit event"
    return "no Python code opened it: a C extension, os.dup() or an inherited descriptor"


def _why(finding: Finding) -> str:
    status = finding.socket.status
    words = STATUS_WORDS.get(status, "open")
    state = f"{status}: {words}" if status != "NONE" else words
    if finding.kind == UNCLOSED:
        return f"{state}; nobody closed it, only the interpreter did when the object died"
    return state


def _fix(finding: Finding) -> str:
    note = finding.note or ""
    if LEFT_BEHIND in note:
        return "end that one, too: run the server without a shell, or with start_new_session=True and os.killpg()"
    if finding.process is not None:
        return "end the process and wait for it: proc.terminate(); proc.wait(), in a fixture's teardown"
    if SETUP_RAISED in note:
        return "open it in a `with` that reaches over the `yield`, or close it where the set-up fails"
    if finding.owner_kind == "fixture":
        return f"close it after the `yield` of fixture {finding.owner_name!r}, or in request.addfinalizer()"
    if finding.owner_kind in ("class", "module"):
        return f"close it in the teardown of the {finding.owner_kind}, or open it in a fixture with `yield`"
    if finding.owner_kind == "import":
        return "open it in a fixture instead of at import time"
    if any(frame.function == "accept" for frame in finding.stack):
        return "end the server that accepted it and wait for its thread; if it ends late by design: --sockets-grace=SECONDS"
    if finding.socket.status == "LISTEN":
        return "close the server also when the test fails: `with` or a fixture with `yield`"
    if finding.opened_at is None:
        rule = (
            f"remote={finding.socket.remote}"
            if finding.socket.remote
            else f"owner={finding.owner_kind}:{finding.owner_name}"
        )
        return f"close the library's object that made it; or ignore it: --sockets-ignore='{rule}'"
    return "close it also when the test fails: `with contextlib.closing(...)` or a fixture with `yield`"


def summary(run: Run) -> list[str]:
    """The section at the end of the run: each owner with its opening lines; bounded."""
    groups = _grouped(sorted(run.findings, key=lambda finding: (finding.owner, finding.place)))
    lines = []
    owner = None
    for group in groups[:MOST_GROUPS]:
        first = group[0]
        if first.owner != owner:
            owner = first.owner
            lines.append(owner)
        lines.append(f"  {_counted(group)}  opened at {first.place}{_workers(group)}")
    if len(groups) > MOST_GROUPS:
        lines.append(
            f"... and {len(groups) - MOST_GROUPS} more opening lines; --sockets-report=leaks.json lists every socket"
        )
    for rule in run.unmatched_rules:
        lines.append(f"the ignore rule {rule!r} matched nothing: remove it")
    if run.known_leaks:
        lines.append(f"{run.known_leaks} known leaks of the baseline are not shown")
    lines.extend(f"the baseline lists a leak that is gone: {entry}" for entry in run.vanished)
    lines.extend(run.notes)
    lines.extend(f"pytest-sockets could not do all of its work: {trouble}" for trouble in run.troubles)
    return [_printable(line) for line in lines]


FAILED_WITHOUT_TEARDOWN: Final = (
    "The run fails: a leak above has no test whose teardown could err (import, session, or a fixture that ended "
    "in the set-up of another test)."
)

PASSED_WHEN_RERUN: Final = (
    "The run passes all the same: the attempts that left these had failed by themselves, and their tests passed when they "
    "were run again."
)


def title(run: Run) -> str:
    """The title of the section."""
    count = len(run.findings)
    if not count:
        return "sockets"
    owners = len({finding.owner for finding in run.findings})
    return f"{count} leaked socket{'s' * (count > 1)} of {owners} owner{'s' * (owners > 1)}"


def _counted(group: list[Finding]) -> str:
    first = group[0]
    kind = "never closed" if first.kind == UNCLOSED else first.socket.status.replace("NONE", "open")
    if len(group) == 1:
        remote = f" -> {first.socket.remote}" if first.socket.remote else ""
        return f"{first.socket.protocol} {first.socket.local}{remote} {kind}{_process(first)}"
    return f"{len(group)} x {first.socket.protocol} {kind}{_process(first)}"


def _process(finding: Finding) -> str:
    return f" in pid {finding.socket.pid} ({short_command(finding.process, 60)})" if finding.process else ""


def _workers(group: list[Finding]) -> str:
    workers = sorted({finding.worker for finding in group if finding.worker})
    return f"  [{', '.join(workers)}]" if workers else ""
