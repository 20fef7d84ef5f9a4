"""Group findings by the line that opened them, most frequent first: three lines often explain three hundred leaks."""

from __future__ import annotations

import collections
import dataclasses
import posixpath
import re
from typing import TYPE_CHECKING, Final

from pytest_sockets.leaks.findings import UNCLOSED
from pytest_sockets.reports.run import number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sockets.leaks.findings import Finding

_PARAMETERS: Final = re.compile(r"\[.*\]$", re.DOTALL)


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """The findings of one opening line, kind and protocol; never empty."""

    findings: tuple[Finding, ...]

    @property
    def first(self) -> Finding:
        """The finding that represents the group."""
        return self.findings[0]

    @property
    def known(self) -> int:
        """The number of findings that the baseline lists."""
        return sum(finding.known for finding in self.findings)

    @property
    def what(self) -> str:
        """`60 x udp`, `1 x tcp 127.0.0.1:1 -> 127.0.0.1:2 CLOSE_WAIT`, `2 x tcp LISTEN, never closed`."""
        first, count = self.first, len(self.findings)
        statuses = {finding.socket.status for finding in self.findings} - {"NONE"}
        text = str(first.socket) if count == 1 else first.socket.protocol
        if count > 1 and len(statuses) == 1:
            text += f" {statuses.pop()}"
        return f"{count} x {text}" + (", never closed," if first.kind == UNCLOSED else "")

    @property
    def mark(self) -> str:
        """The share of known leaks: `` (known)``, `` (3 known)`` or ""."""
        known = self.known
        if not known:
            return ""
        return " (known)" if known == len(self.findings) else f" ({known} known)"

    @property
    def whose(self) -> str:
        """The owners in short: `in test x`, `in 60 tests (tests/search/...)`, `in 2 tests (a.py), 1 fixture`."""
        owners = collections.Counter(finding.owner for finding in self.findings)
        if len(owners) == 1:
            tests = {finding.nodeid for finding in self.findings}
            after = f", after {len(tests)} tests ({_common_path(tests)})" if len(tests) > 1 else ""
            return f"in {next(iter(owners))}{after}"
        by_kind: dict[str, set[str]] = {}
        for finding in self.findings:
            by_kind.setdefault(finding.owner_kind, set()).add(finding.owner_name)
        parts = [
            _counted(kind, len(names))
            + (f" ({_common_path(names)})" if kind in ("test", "class", "module") else "")
            for kind, names in by_kind.items()
        ]
        return f"in {', '.join(parts)}"

    @property
    def owners(self) -> list[tuple[str, int]]:
        """Each owner with its number of sockets, most first. All parameters of a test count as one owner."""
        owners: dict[str, list[str]] = {}
        for finding in self.findings:
            name = finding.owner_name if finding.owner_kind == "test" else finding.owner
            owners.setdefault(folded(finding), []).append(name)
        counts = [(names[0] if len(set(names)) == 1 else fold, len(names)) for fold, names in owners.items()]
        return sorted(counts, key=lambda one: (-one[1], one[0]))

    @property
    def workers(self) -> str:
        """The xdist workers: ``  [gw0, gw1]`` or ""."""
        workers = sorted({finding.worker for finding in self.findings if finding.worker})
        if len(workers) > 4:
            return f"  [{len(workers)} workers]"
        return f"  [{', '.join(workers)}]" if workers else ""


def folded(finding: Finding) -> str:
    """Return the owner without the parameters of a test: `tests/test_a.py::test_x[...]`."""
    if finding.owner_kind == "test":
        return _PARAMETERS.sub("[...]", finding.owner_name)
    return finding.owner


def by_opening_line(findings: Iterable[Finding]) -> list[Group]:
    """Return the groups: new before known ones, then most frequent first."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        place = finding.opened_at
        key = (
            finding.kind,
            finding.socket.protocol,
            (place.file, place.line) if place else None,
            finding.process if place is None else bool(finding.process),
        )
        groups.setdefault(key, []).append(finding)
    made = [Group(tuple(sorted(group, key=lambda finding: finding.known))) for group in groups.values()]
    return sorted(
        made, key=lambda group: (group.first.known, -len(group.findings), group.first.place, group.first.kind)
    )


def whole_headline(findings: Iterable[Finding]) -> str:
    """Return `7 sockets left behind by 3 tests and 1 fixture`; "" for none."""
    findings = list(findings)
    if not findings:
        return ""
    owners: dict[str, set[str]] = {"test": set(), "fixture": set(), "other owner": set()}
    for finding in findings:
        kind = finding.owner_kind if finding.owner_kind in owners else "other owner"
        owners[kind].add(finding.owner_name)
    parts = [number(len(names), kind) for kind, names in owners.items() if names]
    *before, last = parts
    whose = f"{', '.join(before)} and {last}" if before else last
    return f"{number(len(findings), 'socket')} left behind by {whose}"


def _counted(kind: str, count: int) -> str:
    plural = {"class": "classes"}.get(kind, f"{kind}s")
    return f"{count} {kind if count == 1 else plural}"


def _common_path(names: Iterable[str]) -> str:
    files = sorted({name.partition("::")[0] for name in names})
    if len(files) == 1:
        return files[0]
    folder = posixpath.commonpath([posixpath.dirname(file) for file in files]) if _all_alike(files) else ""
    return f"{folder}/..." if folder else f"{len(files)} files"


def _all_alike(files: list[str]) -> bool:
    """Whether all are relative or all absolute, since commonpath rejects a mixture."""
    return len({file.startswith("/") for file in files}) == 1
