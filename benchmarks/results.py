"""What a benchmark says: one row of figures, its goal, and how rows are printed and checked."""

from __future__ import annotations

import dataclasses
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))  # what is measured is this checkout

TOLERANCE = 0.2
"""A goal that is missed by no more than this share of itself is noise."""
_WIDTHS = (58, 14, 34, 22, 26)


class Goal(NamedTuple):
    """`at most` or `at least` a limit, for the ratio or for our own figure; a miss is counted from `base` on."""

    word: str
    limit: float
    of: str = "ratio"
    base: float = 0.0
    tolerance: float = TOLERANCE

    @property
    def allowed(self) -> float:
        """The limit with the tolerance: 1.03 of base 1 allows 1.036, at least 100 allows 80."""
        extra = (self.limit - self.base) * self.tolerance
        return self.limit + extra if self.word == "at most" else self.limit - extra

    def holds(self, value: float, limit: float) -> bool:
        """Whether `value` is on the right side of `limit`."""
        return value <= limit if self.word == "at most" else value >= limit


@dataclasses.dataclass(frozen=True)
class Result:
    """One comparison. `ratios` has one number for each interleaved round: ours / peer, with `times` peer / ours."""

    name: str
    ours: float
    unit: str
    peer: float | None = None
    peer_name: str = ""
    ratios: tuple[float, ...] = ()
    estimate: float | None = None
    """The ratio that counts, if it is not the median of `ratios`."""
    times: bool = False
    goal: Goal | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """The one that is compared with the goal."""
        if self.estimate is not None or not self.ratios:
            return self.estimate
        return statistics.median(self.ratios)

    @property
    def judged(self) -> float | None:
        """What the goal is about."""
        return self.ratio if self.goal and self.goal.of == "ratio" else self.ours

    @property
    def missed(self) -> bool:
        """By more than the tolerance."""
        return (
            self.goal is not None
            and self.judged is not None
            and not self.goal.holds(self.judged, self.goal.allowed)
        )

    @property
    def verdict(self) -> str:
        """`met`, `nearly` (within the tolerance), `MISSED`, or nothing without a goal."""
        if self.goal is None or self.judged is None:
            return ""
        return (
            "MISSED" if self.missed else "met" if self.goal.holds(self.judged, self.goal.limit) else "nearly"
        )


def show(results: Iterable[Result]) -> list[Result]:
    """Print each row as soon as it is known; gives them back."""
    shown = []
    print(_line("name", "ours", "peer", "ratio (min .. max)", "goal") + " verdict |")
    print("|" + "|".join("-" * (width + 2) for width in _WIDTHS) + "|---|")
    for result in results:
        peer = "" if result.peer is None else f"{_figure(result.peer, result.unit)} {result.peer_name}"
        ours = _figure(result.ours, result.unit)
        line = _line(result.name, ours, peer, _ratio(result), _goal(result))
        print(f"{line} {result.verdict} |", flush=True)
        if result.note:
            print(f"|   {result.note} |", flush=True)
        shown.append(result)
    return shown


def check(results: Iterable[Result]) -> None:
    """Exit with 1 if a goal is missed by more than the tolerance."""
    missed = [result for result in results if result.missed]
    if missed:
        lines = [
            f"{one.name}: {one.judged:.4g} misses {_goal(one)} (allowed: {one.goal.allowed:.4g})"
            for one in missed
            if one.goal and one.judged is not None
        ]
        raise SystemExit("\nmissed by more than 20 %:\n  " + "\n  ".join(lines))


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)) + " |"


def _figure(value: float, unit: str) -> str:
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{text} {unit}".strip()


def _ratio(result: Result) -> str:
    if result.ratio is None:
        return ""
    spread = (
        f" ({_number(min(result.ratios))} .. {_number(max(result.ratios))})" if len(result.ratios) > 1 else ""
    )
    return _number(result.ratio) + (" x" if result.times else "") + spread


def _number(ratio: float) -> str:
    return f"{ratio:.3f}" if 0.01 <= ratio < 10 else f"{ratio:.0f}" if ratio >= 100 else f"{ratio:.2g}"


def _goal(result: Result) -> str:
    if result.goal is None:
        return ""
    if result.goal.of == "ratio":
        return f"{result.goal.word} {result.goal.limit:g}" + (" x" if result.times else "")
    return f"{result.goal.word} {_figure(result.goal.limit, result.unit)}"
