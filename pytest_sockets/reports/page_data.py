"""A run as compact data for the HTML page: columns of numbers, and one table for each kind of text.

10,000 tests and 5,000 sockets must fit into less than 3 MB, so every text that can repeat is stored once.
"""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.printable import shortened
from pytest_sockets.reports.advice import advice
from pytest_sockets.reports.json_report import sort_key
from pytest_sockets.reports.status_text import STATUS_WORDS

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from pytest_sockets.leaks.findings import Finding, Frame
    from pytest_sockets.reports.run import Run
    from pytest_sockets.reports.spans import SocketLife, TestSpan

MAX_TESTS: Final = 50_000
MAX_LIVES: Final = 20_000
MAX_FINDINGS: Final = 5_000
MAX_TEXT: Final = 600

_KINDS = {None: 0, "unclosed": 1, "open": 2}
_OUTCOMES = ("passed", "failed", "skipped", "error", "xfailed", "xpassed", "rerun")


class _Texts:
    """Distinct values, each with an index."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._places: dict[Hashable, int] = {}

    def index(self, key: Hashable, value: Any = None) -> int:
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = len(self.values)
            self.values.append(key if value is None else value)
        return place

    def find(self, key: Hashable) -> int | None:
        return self._places.get(key)


class _Packer:
    """Turns the run's values into rows, and fills the tables of texts."""

    def __init__(self, run: Run) -> None:
        self.texts = _Texts()
        self.ids = _Texts()
        self.owners = _Texts()
        self.frames = _Texts()
        self.stacks = _Texts()
        self.lanes = _Texts()
        workers = {test.worker or "" for test in run.tests} | {life.worker or "" for life in run.lives}
        for worker in sorted(workers, key=_worker_order):
            self.lanes.index(worker)
        moments = [one.start for one in run.tests] + [one.opened for one in run.lives]
        ends = [one.stop for one in run.tests] + [one.closed for one in run.lives if one.closed is not None]
        self.start = min(moments, default=0.0)
        self.stop = max((*ends, *moments), default=self.start)

    def moment(self, seconds: float) -> int:
        """Return tenths of a millisecond since the start: a trivial test takes about four."""
        return round((seconds - self.start) * 10_000)

    def text(self, text: str | None) -> int:
        return -1 if text is None else self.texts.index(_cut(text))

    def nodeid(self, nodeid: str) -> int:
        file, colons, rest = nodeid.partition("::")
        return self.ids.index(nodeid, [self.text(file), _cut(rest) if colons else None])

    def owner(self, owner: str) -> int:
        """Return a test as the index of its id, any other owner as text."""
        kind, _, name = owner.partition(" ")
        known = self.ids.find(name) if kind == "test" else None
        return self.owners.index(owner, _cut(owner) if known is None else known)

    def frame(self, frame: Frame | None) -> int:
        if frame is None:
            return -1
        return self.frames.index(frame, [self.text(frame.file), frame.line, self.text(frame.function)])

    def stack(self, frames: tuple[Frame, ...]) -> int:
        return self.stacks.index(frames, [self.frame(frame) for frame in frames[:30]])

    def test(self, test: TestSpan) -> list[int]:
        outcome = _OUTCOMES.index(test.outcome) if test.outcome in _OUTCOMES else 0
        start = self.moment(test.start)
        return [
            self.nodeid(test.nodeid),
            start,
            max(0, self.moment(test.stop) - start),
            outcome,
            self.lane(test.worker),
        ]

    def lane(self, worker: str | None) -> int:
        return self.lanes.index(worker or "")

    def life(self, life: SocketLife) -> list[Any]:
        return [
            _cut(life.tuple_text),
            self.text(life.protocol),
            self.text(life.status),
            self.moment(life.opened),
            -1 if life.closed is None else self.moment(life.closed),
            self.owner(life.owner),
            self.frame(life.opened_at),
            _KINDS.get(life.leak, 2),
            self.lane(life.worker),
            -1 if life.judged is None else self.moment(life.judged),
        ]

    def leak(self, finding: Finding) -> list[Any]:
        sock = finding.socket
        remote = f" -> {sock.remote}" if sock.remote else ""
        return [
            _KINDS[finding.kind],
            self.nodeid(finding.nodeid),
            self.owner(finding.owner),
            self.text(finding.phase),
            self.frame(finding.opened_at),
            self.stack(finding.stack),
            _cut(f"{sock.protocol} {sock.local}{remote}"),
            self.text(sock.status),
            [sock.fd, sock.inode, sock.pid],
            self.text(finding.process),
            [self.text(holder) for holder in finding.held_by[:20]],
            self.text(finding.note),
            self.lane(finding.worker),
            self.text(sock.protocol),
            self.text(finding.owner_kind),
            int(finding.known),
            self.text(advice(finding)),
            [self.text(f"{key}: {value}") for key, value in finding.annotations.items()],
        ]


def page_data(run: Run) -> dict[str, Any]:
    """Return the data of the page's script, in JSON's own types."""
    packer = _Packer(run)
    tests = [packer.test(test) for test in _by_start(run.tests)[:MAX_TESTS]]
    lives = sorted(run.lives, key=lambda life: (life.leak is None, life.opened))[:MAX_LIVES]
    lives_rows = [packer.life(life) for life in sorted(lives, key=lambda life: life.opened)]
    leaks = [packer.leak(finding) for finding in _new_first(run.findings)[:MAX_FINDINGS]]
    return {
        "stop": packer.moment(packer.stop),
        "lanes": packer.lanes.values,
        "texts": packer.texts.values,
        "ids": packer.ids.values,
        "owners": packer.owners.values,
        "frames": packer.frames.values,
        "stacks": packer.stacks.values,
        "tests": tests,
        "lives": lives_rows,
        "leaks": leaks,
        "omitted": [
            len(run.tests) - len(tests),
            len(run.lives) - len(lives_rows),
            len(run.findings) - len(leaks),
        ],
        "words": STATUS_WORDS,
    }


def _new_first(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: (finding.known, sort_key(finding)))


def as_script(data: object) -> str:
    """Return JSON that cannot end the script element, a comment or a line."""
    text = json.dumps(data, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def when(run: Run) -> tuple[str, float]:
    """Return the run's start as local date and time ("" without a timeline), and its duration in seconds."""
    packer = _Packer(run)
    if not run.tests and not run.lives:
        return "", 0.0
    moment = datetime.datetime.fromtimestamp(packer.start).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S %z"), packer.stop - packer.start


def _by_start(tests: Iterable[TestSpan]) -> list[TestSpan]:
    return sorted(tests, key=lambda test: test.start)


def _cut(text: str) -> str:
    return shortened(text, MAX_TEXT)


def _worker_order(worker: str) -> tuple[int, str]:
    digits = "".join(char for char in worker if char.isdigit())
    return int(digits or -1), worker
