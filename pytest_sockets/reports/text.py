"""The printed text of findings: the message of one owner's leaks, and the summary at the end of a run."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from pytest_sockets.leaks.findings import UNCLOSED
from pytest_sockets.printable import printable, short_command, shortened
from pytest_sockets.reports.advice import advice
from pytest_sockets.reports.grouping import by_opening_line
from pytest_sockets.reports.run import number
from pytest_sockets.reports.status_text import STATUS_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_sockets.leaks.findings import Finding, Frame
    from pytest_sockets.reports.grouping import Group
    from pytest_sockets.reports.run import Run

MOST_SOCKETS: Final = 8
"""The number of sockets that one message describes in full."""
MOST_WARNED: Final = 3
"""The number of opening lines that one warning names."""
MOST_GROUPS: Final = 13
"""The number of opening lines in the summary and in the grouped warning."""
_MOST_OWNERS: Final = 3
_MOST_FRAMES: Final = 6
_MOST_NOTES: Final = 3
_MOST_LINES: Final = 5
"""The limit of each other list in the section."""
_LONGEST: Final = 400
"""Characters of a line, since names of tests and processes can be long."""
_WHERE_ALL_ARE: Final = "--sockets-report=leaks.json lists every socket"


def headline(findings: Sequence[Finding]) -> str:
    """Return one line with the number of sockets and their owner."""
    what = number(len(findings), "socket")
    owners = list(dict.fromkeys(finding.owner for finding in findings))
    whose = owners[0] if len(owners) == 1 else f"{len(owners)} owners, first {owners[0]}"
    if all(finding.kind == UNCLOSED for finding in findings):
        return f"{what} never closed by {whose}: only the interpreter did"
    return f"{what} left open by {whose}"


def message(findings: Sequence[Finding]) -> str:
    """Return the whole message: the headline, then each socket with its line, its referrers and the fix."""
    lines = [headline(findings)]
    several = len({finding.owner for finding in findings}) > 1
    groups = _alike(findings)
    for group in groups[:MOST_SOCKETS]:
        lines.append("")
        lines.extend(_explained(group, several))
    rest = [finding for group in groups[MOST_SOCKETS:] for finding in group]
    if rest:
        lines.extend(["", f"... and {_more(rest)}; {_WHERE_ALL_ARE}"])
    return "\n".join(map(printable, lines))


def short_message(findings: Sequence[Finding]) -> str:
    """Return the headline and a line for each opening line, for a warning. The summary has the rest."""
    groups = by_opening_line(findings)
    lines = [headline(findings)]
    lines.extend(f"  {group.what} {group.first.place}" for group in groups[:MOST_WARNED])
    rest = [finding for group in groups[MOST_WARNED:] for finding in group.findings]
    if rest:
        lines.append(f"  ... and {_more(rest)}")
    return "\n".join(_bounded(lines))


def warning_of_all(findings: Sequence[Finding]) -> str:
    """Return one text for the leaks of many tests, by opening line."""
    groups = by_opening_line(findings)
    owners = len({finding.owner for finding in findings})
    lines = [f"{number(len(findings), 'socket')} left open by {number(owners, 'owner')}"]
    lines.extend(f"  {group.what} {group.first.place} {group.whose}" for group in groups[:MOST_GROUPS])
    rest = [finding for group in groups[MOST_GROUPS:] for finding in group.findings]
    if rest:
        lines.append(f"  ... and {_more(rest)}")
    return "\n".join(_bounded(lines))


def _more(findings: Sequence[Finding]) -> str:
    """Return `3 more sockets of 2 opening lines`."""
    places = number(len({finding.place for finding in findings}), "opening line")
    return f"{len(findings):,} more socket{'s' * (len(findings) != 1)} of {places}"


def _bounded(lines: Iterable[str]) -> list[str]:
    return [shortened(printable(line), _LONGEST) for line in lines]


def _alike(findings: Iterable[Finding]) -> list[list[Finding]]:
    """Group findings that one explanation fits, in the order of their first.

    They share owner, kind, status, opening line, and the user's own lines that called it: one helper may open all.
    """
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        key = (
            finding.kind,
            finding.owner,
            finding.process,
            finding.opened_at or finding.socket.local,
            finding.socket.status,
            _callers(finding),
        )
        groups.setdefault(key, []).append(finding)
    return list(groups.values())


def _callers(finding: Finding) -> tuple[Frame, ...]:
    """Return the frames of the user's own code, whose paths are relative to rootdir."""
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
            yield f"             {short_file(frame.file)}:{frame.line} in {frame.function}"
    for position, text in enumerate(first.held_by):
        yield f"  {'held by  ' if position == 0 else '         '}  {text}"
    notes = dict.fromkeys(finding.note for finding in group if finding.note)
    for note in [*notes][:_MOST_NOTES]:
        yield f"  note       {note}"
    if len(notes) > _MOST_NOTES:
        yield f"             ... and {len(notes) - _MOST_NOTES} more"
    for key, value in first.annotations.items():
        yield f"  {key:<9}  {value}"
    yield f"  fix        {advice(first)}"


def short_file(file: str) -> str:
    """Return a library's file without the place of its installation: urllib3/connection.py, asyncio/streams.py."""
    return re.split(r"(?:site|dist)-packages/|/python3\.\d+t?/", file)[-1]


def _holder(finding: Finding) -> str:
    if finding.process is not None:
        return f" (pid {finding.socket.pid}: {short_command(finding.process, 80)})"
    return f" (fd {finding.socket.fd})"


def _opened_at(finding: Finding) -> str:
    if finding.opened_at is not None:
        prefix = "the child process was started at " if finding.process else ""
        return f"{prefix}{finding.opened_at}"
    if finding.process:
        return "not known: the start of the child process was not seen (C code, os.posix_spawn)"
    return "no Python code opened it: a C extension, os.dup() or an inherited descriptor"


def _why(finding: Finding) -> str:
    status = finding.socket.status
    words = STATUS_WORDS.get(status, "open")
    state = f"{status}: {words}" if status != "NONE" else words
    if finding.kind == UNCLOSED:
        return f"{state}; no code closed it, only the interpreter did when the object died"
    return state


def summary(run: Run) -> list[str]:
    """Return the section at the end of the run, at most 40 lines: each opening line with its owners."""
    groups = by_opening_line(run.findings)
    lines = [line for group in groups[:MOST_GROUPS] for line in _group_lines(group)]
    rest = [finding for group in groups[MOST_GROUPS:] for finding in group.findings]
    if rest:
        lines.append(f"... and {_more(rest)}; {_WHERE_ALL_ARE}")
    lines += _first_of(
        [f"the ignore rule {rule!r} matched nothing: remove it" for rule in run.unmatched_rules]
    )
    lines += _first_of(run.baseline_changes, most=12)
    lines += run.counts
    if run.incomplete or not run.looked:
        lines += run.not_looked_for
    lines += _first_of(run.notes)
    lines += _first_of(
        [f"pytest-sockets could not do all of its work: {trouble}" for trouble in run.troubles]
    )
    return _bounded(lines)


def _first_of(lines: list[str], most: int = _MOST_LINES) -> list[str]:
    return (
        lines
        if len(lines) <= most
        else [*lines[: most - 1], f"... and {len(lines) - most + 1} more like this"]
    )


def _group_lines(group: Group) -> Iterator[str]:
    process = group.first.process
    child = f" in pid {group.first.socket.pid} ({short_command(process, 60)})" if process else ""
    place = group.first.place if group.first.opened_at or not process else "a child process"
    yield f"{group.what}{child} {place} {group.whose}{group.mark}{group.workers}"
    owners = group.owners
    if len({finding.owner for finding in group.findings}) > 1:
        names = [f"{name} ({count})" if count > 1 else name for name, count in owners[:_MOST_OWNERS]]
        more = len(owners) - _MOST_OWNERS
        yield f"    {', '.join(names)}{f', and {more} more' if more > 0 else ''}"


FAILED_WITHOUT_TEARDOWN: Final = (
    "The run fails: no teardown could report a leak listed above (of an import, the session, a fixture that ended in the "
    "set-up of another test, or one more than the baseline lists)."
)
FAILED_STRICT: Final = "The run fails: the baseline is out of date (--sockets-baseline-strict)."

PASSED_WHEN_RERUN: Final = (
    "The run passes: the attempts that left these sockets had failed on their own, and their tests passed when they were "
    "run again."
)


def title(run: Run) -> str:
    """Return the title of the section."""
    new = run.new
    if new:
        owners = number(len({finding.owner for finding in new}), "owner")
        known = f", {len(run.known)} known" if run.known else ""
        return f"{number(len(new), 'leaked socket')} of {owners}{known}"
    return f"sockets: {number(len(run.known), 'known leak')}" if run.known else "sockets"
