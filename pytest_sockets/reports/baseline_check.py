"""Compare a run with the baseline: which leaks are known or new, and which entries are gone, fewer or moved."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Final

from pytest_sockets.leaks.findings import UNCLOSED
from pytest_sockets.leaks.kinds import KINDS, includes
from pytest_sockets.reports.baseline import Baseline, Known
from pytest_sockets.reports.baseline_keys import Key, instance_of, is_narrow, key_of, old_key_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from pytest_sockets.leaks.findings import Finding

_MOST_CHANGES: Final = 10


@dataclasses.dataclass(slots=True)
class Ran:
    """The tests and fixtures that this run executed, and therefore the leaks that it could have found."""

    passed: set[str] = dataclasses.field(default_factory=set)
    """The tests whose set-up and call passed. Other tests may not have reached the code that opens their sockets."""
    seen: set[str] = dataclasses.field(default_factory=set)
    """Every test that has a report."""
    failed_files: set[str] = dataclasses.field(default_factory=set)
    cut_files: set[str] = dataclasses.field(default_factory=set)
    """Files with a test that was dropped, deselected or not collected."""
    fixtures: set[str] = dataclasses.field(default_factory=set)
    """The fixtures that were set up, as owners in the baseline."""
    existing_files: frozenset[str] = frozenset()
    """The files of the baseline that exist."""
    whole: bool = False
    """Whether neither the command line nor the run left out a part of the suite."""
    kinds: tuple[str, ...] = ("tcp", "udp")
    leaks: bool = True
    unclosed: bool = False
    children: bool = True

    def could_occur(self, key: Key, kinds: Sequence[str]) -> bool:
        """Whether this run would have found a leak with this key. If so, a missing leak is gone."""
        if not includes(self.kinds, kinds):
            return False
        if not (self.unclosed if key.kind == UNCLOSED else self.leaks):
            return False
        if key.place.startswith("process ") and not self.children:
            return False
        return self._has_run(key.owner)

    def _has_run(self, owner: str) -> bool:
        kind, _, name = owner.partition(" ")
        file = name.partition("::")[0]
        if kind == "test":
            return name in self.passed or self._is_removed(name, file)
        if kind in ("class", "module", "import") and not file.endswith("conftest.py"):
            return self._is_removed(name, file) or self._is_complete(name, file)
        if kind == "fixture":
            folder = self._visible_from(name)
            return self.whole and owner in self.fixtures and self._has_passed(folder)
        return self.whole and self._has_passed(file.rpartition("/")[0])

    def _visible_from(self, fixture: str) -> str:
        """Return the folder or test module whose tests can use the fixture; "" for all of them."""
        file = fixture.rpartition(" (")[2].rstrip(")")
        if file.endswith("conftest.py") and not file.startswith(("site-packages/", "stdlib/", "...")):
            return file.rpartition("/")[0]
        return file if any(nodeid.startswith(f"{file}::") for nodeid in self.seen) else ""

    def _has_passed(self, folder: str) -> bool:
        """Whether nothing below the folder was cut or failed: a single test may be the only one that opens a socket."""
        return not any(_overlap(folder, file) for file in (*self.cut_files, *self.failed_files))

    def _is_removed(self, name: str, file: str) -> bool:
        """Whether the test, class or file no longer exists: the whole suite was collected without it."""
        if not self.whole or any(nodeid == name or nodeid.startswith(f"{name}::") for nodeid in self.seen):
            return False
        if file not in self.existing_files:
            return True
        collected = any(nodeid.startswith(f"{file}::") for nodeid in self.seen)
        return name != file and collected and not any(_overlap(file, cut) for cut in self.cut_files)

    def _is_complete(self, name: str, file: str) -> bool:
        if not self._has_passed(file):
            return False
        return any(nodeid == name or nodeid.startswith(f"{name}::") for nodeid in self.passed)


def _overlap(one: str, other: str) -> bool:
    """Whether one path is the other, or a folder above it."""
    return not one or not other or one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


class Ratchet:
    """Counts the findings of each entry: as many as it lists are known, one more is new.

    An owner that every xdist worker sets up, or that a rerun sets up again, counts once. `lane` separates those
    instances: the worker for wide owners, the attempt for tests and their own fixtures.
    """

    def __init__(self, baseline: Baseline) -> None:
        self._listed = {entry.key: entry for entry in baseline.entries}
        self._counts: dict[Key, dict[str, dict[Hashable, int]]] = {}

    def key(self, finding: Finding) -> Key:
        """Return the key under which the finding is listed, or would be."""
        key = key_of(finding)
        if key not in self._listed:
            old = old_key_of(finding)
            return old if old in self._listed else key
        return key

    def add(self, finding: Finding, attempt: Hashable, worker: Hashable) -> bool:
        """Count the finding. Return whether the baseline covers it."""
        key = self.key(finding)
        lane = attempt if is_narrow(finding) else worker
        lanes = self._counts.setdefault(key, {}).setdefault(instance_of(finding), {})
        lanes[lane] = lanes.get(lane, 0) + 1
        entry = self._listed.get(key)
        return entry is not None and (entry.count is None or self.total(key) <= entry.count)

    def total(self, key: Key) -> int:
        """Return how many sockets were found for this key."""
        return sum(max(lanes.values()) for lanes in self._counts.get(key, {}).values())

    @property
    def found(self) -> list[Key]:
        """Return every key that has a finding."""
        return list(self._counts)


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """A run against the baseline."""

    known: tuple[bool, ...]
    """One value for each finding, in their order."""
    gone: tuple[Known, ...] = ()
    fewer: tuple[tuple[Known, int], ...] = ()
    moved: tuple[tuple[Known, Key], ...] = ()

    @property
    def changes(self) -> list[str]:
        """Return a bounded list with one line for each difference."""
        lines = [f"the baseline lists a leak that is gone: {entry}" for entry in self.gone]
        lines += [
            f"the baseline lists more than there are now ({count}): {entry}" for entry, count in self.fewer
        ]
        lines += [
            f"moved, update the baseline: {entry} -> {Known(key, entry.count)}" for entry, key in self.moved
        ]
        if len(lines) > _MOST_CHANGES:
            rest = len(lines) - _MOST_CHANGES
            lines[_MOST_CHANGES:] = [f"... and {rest} more differences from the baseline"]
        if lines:
            lines.append("pytest --sockets-update-baseline brings the file up to date")
        return lines


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """A finding with the attempt and worker that separate its owner's instances."""

    finding: Finding
    attempt: Hashable
    worker: Hashable
    known: bool = False
    """Whether the process that found it counted it as known."""


def compare(found: Iterable[Found], baseline: Baseline, ran: Ran) -> Comparison:
    """Sort the findings into known and new ones, and find the entries that are gone, fewer or moved."""
    found = list(found)
    ratchet = Ratchet(baseline)
    # Findings that a worker counted as new stay new: their teardown has failed already.
    order = sorted(range(len(found)), key=lambda number: not found[number].known)
    known = [False] * len(found)
    for number in order:
        one = found[number]
        known[number] = ratchet.add(one.finding, one.attempt, one.worker)
    could_occur = [entry for entry in baseline.entries if ran.could_occur(entry.key, baseline.kinds)]
    gone = [entry for entry in could_occur if not ratchet.total(entry.key)]
    fewer = [
        (entry, total)
        for entry in could_occur
        if entry.count is not None and 0 < (total := ratchet.total(entry.key)) < entry.count
    ]
    listed = {entry.key for entry in baseline.entries}
    moved = _moves(gone, [key for key in ratchet.found if key not in listed])
    has_moved = {entry.key for entry, _ in moved}
    gone = [entry for entry in gone if entry.key not in has_moved]
    return Comparison(tuple(known), tuple(gone), tuple(fewer), tuple(moved))


def update(found: Iterable[Found], baseline: Baseline, ran: Ran) -> Baseline:
    """Return the baseline after this run: its findings, and the entries that it could not have found."""
    found = list(found)
    moved = {key: entry for entry, key in compare(found, baseline, ran).moved}
    listed = {entry.key: entry for entry in baseline.entries}
    ratchet = Ratchet(baseline)
    new_keys = {}
    for one in found:
        key = ratchet.key(one.finding)
        new_keys[key] = key_of(one.finding)
        ratchet.add(one.finding, one.attempt, one.worker)
    entries: dict[Key, Known] = {}
    for key in ratchet.found:
        before = listed.get(key) or moved.get(key)
        total = ratchet.total(key)
        if before is None:
            entries[key] = Known(key, total)
            continue
        if key in listed and before.count is not None and not ran.could_occur(key, baseline.kinds):
            total = max(total, before.count)
        entries[key] = dataclasses.replace(before, key=new_keys[key], count=total)
    for key, entry in listed.items():
        if key not in entries and not ran.could_occur(key, baseline.kinds):
            entries[key] = entry
    kinds = dict.fromkeys([*baseline.kinds, *ran.kinds] if baseline.entries else ran.kinds)
    ordered = tuple(kind for kind in KINDS if kind in kinds)
    return Baseline(tuple(entries.values()), ordered, baseline.below)


def _moves(gone: Sequence[Known], new: Sequence[Key]) -> list[tuple[Known, Key]]:
    """Pair each entry that is gone with at most one new key, the most similar pairs first."""
    pairs = [
        (likeness, entry, key) for entry in gone for key in new if (likeness := _likeness(entry.key, key)) > 1
    ]
    pairs.sort(key=lambda pair: (-pair[0], pair[1].key, pair[2]))
    moved: dict[Key, tuple[Known, Key]] = {}
    taken: set[Key] = set()
    for _, entry, key in pairs:
        if entry.key not in moved and key not in taken:
            moved[entry.key] = entry, key
            taken.add(key)
    return list(moved.values())


def _likeness(old: Key, new: Key) -> int:
    if old.kind != new.kind or old.owner.partition(" ")[0] != new.owner.partition(" ")[0]:
        return 0
    alike = 0
    for before, after, separators in ((old.owner, new.owner, r"::| \("), (old.place, new.place, " in ")):
        if before == after:
            alike += 4
            continue
        (old_file, old_name), (new_file, new_name) = (
            (parts[0], parts[-1]) for parts in (re.split(separators, text) for text in (before, after))
        )
        alike += (old_file == new_file) + 2 * (old_name == new_name)
    return alike
