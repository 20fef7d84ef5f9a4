"""The report of a run beside the promises of its scenario."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .scenario import Expectation, Scenario


@dataclasses.dataclass
class Verdict:
    """How well one run's findings fit: counts for the matrix, sentences for a failing test."""

    expected: int = 0
    found: int = 0
    right_owner: int = 0
    right_line: int = 0
    false_alarms: int = 0
    problems: list[str] = dataclasses.field(default_factory=list)


def compare(scenario: Scenario, leaks: list[dict[str, Any]], *, at_least: bool = False) -> Verdict:
    """Match findings with promises. `at_least`: several xdist workers may each leak what is promised once."""
    verdict = Verdict()
    left = list(leaks)
    promised = [item for item in scenario.expectations for _ in range(item.count) if item.required]
    verdict.expected = len(promised)
    pending = _take_best(promised, left, verdict)
    for expectation in pending:
        verdict.problems.append(f"not found: {expectation}")
    repeated = (
        scenario.expectations if at_least else [item for item in scenario.expectations if not item.required]
    )
    for leak in left:
        if any(_fits(item, leak) for item in repeated):
            continue
        verdict.false_alarms += 1
        verdict.problems.append(f"false alarm: {describe(leak)}")
    return verdict


def _take_best(
    promised: list[Expectation], left: list[dict[str, Any]], verdict: Verdict
) -> list[Expectation]:
    pending = list(promised)
    # Exact fits first, so that a finding with a wrong owner or line cannot take the place of a right one.
    for enough in (2, 1):
        for expectation in list(pending):
            best = max(left, key=lambda leak: _score(expectation, leak), default=None)
            if best is None or _score(expectation, best) < enough:
                continue
            left.remove(best)
            pending.remove(expectation)
            _note(expectation, best, verdict)
    return pending


def _score(expectation: Expectation, leak: dict[str, Any]) -> int:
    if leak["kind"] != expectation.kind or bool(leak["socket"].get("process")) != expectation.child:
        return 0
    return right_owner(expectation, leak) + right_line(expectation, leak)


def _fits(expectation: Expectation, leak: dict[str, Any]) -> bool:
    return _score(expectation, leak) == 2


def _note(expectation: Expectation, leak: dict[str, Any], verdict: Verdict) -> None:
    verdict.found += 1
    owner, line = right_owner(expectation, leak), right_line(expectation, leak)
    verdict.right_owner += owner
    verdict.right_line += line
    if not owner:
        verdict.problems.append(f"wrong owner for [{expectation}]: {describe(leak)}")
    if not line:
        verdict.problems.append(f"wrong line for [{expectation}]: {describe(leak)}")
    for key in ("protocol", "status"):
        wanted = getattr(expectation, key)
        if wanted is not None and leak["socket"][key] not in wanted.split("|"):
            verdict.problems.append(f"wrong {key} for [{expectation}], wanted {wanted}: {describe(leak)}")


def right_owner(expectation: Expectation, leak: dict[str, Any]) -> bool:
    """Kind and name of the owner, and scope and phase where the scenario states them."""
    owner = leak["owner"]
    if owner["kind"] != expectation.owner_kind:
        return False
    if not _right_name(expectation, owner["name"]):
        return False
    return all(getattr(expectation, key) in (None, owner[key]) for key in ("scope", "phase"))


def _right_name(expectation: Expectation, name: str) -> bool:
    if expectation.owner_name == "*":
        return True
    if not expectation.owner_name:  # a file: a module, or an import
        return name == expectation.file
    return expectation.owner_name in (name, name.partition("::")[2])


def right_line(expectation: Expectation, leak: dict[str, Any]) -> bool:
    """File and line of the opening call, as strict as the scenario wants it."""
    at = leak["opened_at"]
    if expectation.line_mode == "any":
        return True
    if at is None:
        return expectation.line_mode in ("optional", "none")
    return expectation.line_mode != "none" and (at["file"], at["line"]) == (
        expectation.file,
        expectation.line,
    )


def describe(leak: dict[str, Any]) -> str:
    """One finding on one line."""
    owner, at, sock = leak["owner"], leak["opened_at"], leak["socket"]
    place = f"{at['file']}:{at['line']}" if at else "no line"
    return (
        f"{leak['kind']} {owner['kind']}:{owner['name']} ({owner['scope']}, {owner['phase']}) at {place}: "
        f"{sock['protocol']} {sock['local']} -> {sock['remote']} {sock['status']} fd={sock['fd']} "
        f"process={sock.get('process')!r}, found after {leak['nodeid']}"
    )
