"""The markdown report, which GitHub shows as the summary of a step: at most 60 lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pytest_sockets.printable import printable, shortened
from pytest_sockets.reports.advice import advice
from pytest_sockets.reports.grouping import by_opening_line
from pytest_sockets.reports.overview import headline
from pytest_sockets.reports.run import number

if TYPE_CHECKING:
    from pytest_sockets.reports.grouping import Group
    from pytest_sockets.reports.run import Run

MOST_LINES: Final = 60
_MOST_GROUPS: Final = 20
_MOST_FIXES: Final = 8
_MOST_OWNERS: Final = 3
_LONGEST: Final = 160
_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>#|~&])")


def render_markdown(run: Run) -> str:
    """Return the whole report, with a final newline."""
    groups = by_opening_line(run.findings)
    lines = [f"## {escaped(headline(run))}", "", escaped(run.totals().removeprefix("sockets: ")), ""]
    if groups:
        lines += ["| leaks | opened at | owners |", "| --- | --- | --- |"]
        lines += [_row(group) for group in groups[:_MOST_GROUPS]]
        rest = groups[_MOST_GROUPS:]
        if rest:
            sockets = sum(len(group.findings) for group in rest)
            lines.append(f"| {sockets:,} more | {number(len(rest), 'more opening line')} | |")
        lines += ["", *_fixes(groups), ""]
    notes = [*run.counts, *run.not_looked_for, *run.baseline_changes, *run.internal_errors]
    notes += [f"The ignore rule {rule!r} matched nothing." for rule in run.unmatched_rules]
    room = MOST_LINES - len(lines) - 1
    if len(notes) > room:
        notes[room - 1 :] = [f"... and {len(notes) - room + 1} more notes"]
    lines += [f"- {escaped(note, 400)}" for note in notes]
    return "\n".join(lines).rstrip("\n") + "\n"


def _row(group: Group) -> str:
    owners = [
        f"{code(name)} ({count})" if count > 1 else code(name) for name, count in group.owners[:_MOST_OWNERS]
    ]
    more = len(group.owners) - _MOST_OWNERS
    if more > 0:
        owners.append(f"and {more} more")
    return f"| {escaped(group.what + group.mark)} | {code(group.first.place)} | {', '.join(owners)} |"


def _fixes(groups: list[Group]) -> list[str]:
    """List each fix once, with the first opening line to which it applies."""
    fixes: dict[str, str] = {}
    for group in groups:
        fixes.setdefault(advice(group.first), group.first.place)
    return [f"- {code(place)}: {escaped(fix, 300)}" for fix, place in list(fixes.items())[:_MOST_FIXES]]


def escaped(text: str, longest: int = _LONGEST) -> str:
    """Return text that markdown shows literally, without markup, links, mentions or HTML."""
    return _SPECIAL.sub(r"\\\1", shortened(printable(text), longest))


def code(text: str) -> str:
    """Return text as a code span; a bar is escaped, since it would end a table cell even there."""
    text = shortened(printable(text), _LONGEST).replace("|", "\\|").replace("`", "'")
    return f"`{text}`" if text.strip() else "` `"
