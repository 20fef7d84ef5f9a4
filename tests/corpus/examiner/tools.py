"""pytest-sockets and its alternatives, each reduced to what it says about one scenario: found, owner, line."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from .compare import compare
from .running import Way, run

if TYPE_CHECKING:
    from pathlib import Path

    from .running import Run
    from .scenario import Scenario

_ENDED_BADLY = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
_WARNED = re.compile(r"^(\S+\.py::\S+)$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Tool:
    """One way to look for leaks. `words` is how its message is known in the output."""

    name: str
    arguments: tuple[str, ...]
    words: str

    def way(self, base: Way) -> Way:
        """The run with this tool instead of pytest-sockets."""
        return dataclasses.replace(base, sockets=not self.words, arguments=(*self.arguments, *base.arguments))


SOCKETS = Tool("pytest-sockets", (), "")
ALTERNATIVES = (
    Tool(
        "ResourceWarning as error",
        ("-W", "error::ResourceWarning", "-W", "error::pytest.PytestUnraisableExceptionWarning"),
        r"unclosed <|unclosed transport|Unclosed c|unclosed event loop",
    ),
    Tool("pytest --lsof", ("-p", "pytester", "--lsof"), r"FD leakage detected"),
    Tool("psutil in a fixture", ("-p", "examiner.psutil_per_test"), r"psutil sees"),
)


@dataclasses.dataclass(frozen=True)
class Said:
    """What a tool said about one scenario."""

    reported: bool = False
    right_owner: bool = False
    right_line: bool = False
    outcomes_kept: bool = True
    skipped: bool = False
    problems: tuple[str, ...] = ()


def examine(tool: Tool, scenario: Scenario, folder: Path, base: Way, environment: dict[str, str]) -> Said:
    """Run `scenario` with `tool`."""
    way = tool.way(base)
    done = run(scenario, folder, way, environment)
    if done.skipped and not scenario.outcomes:
        return Said(skipped=True)
    return _said_by_sockets(scenario, done, way) if tool is SOCKETS else _said_by_output(tool, scenario, done)


def _said_by_sockets(scenario: Scenario, done: Run, way: Way) -> Said:
    if done.report is None:
        return Said(outcomes_kept=False, problems=(f"no report: {done.output[-300:]}",))
    verdict = compare(scenario, done.report["leaks"], at_least=way.parallel)
    whole = verdict.found == verdict.expected and not verdict.false_alarms
    kept = done.as_promised(scenario)
    problems = verdict.problems if kept else [*verdict.problems, f"outcomes {done.outcomes}"]
    return Said(
        reported=bool(verdict.found) if scenario.leaky else bool(verdict.false_alarms),
        right_owner=whole and verdict.right_owner == verdict.expected,
        right_line=whole and verdict.right_line == verdict.expected,
        outcomes_kept=kept,
        problems=tuple(problems),
    )


def _said_by_output(tool: Tool, scenario: Scenario, done: Run) -> Said:
    if not re.search(tool.words, done.output):
        return Said(outcomes_kept=done.as_promised(scenario))
    blamed = {
        name.partition("::")[2] for name in _ENDED_BADLY.findall(done.output) + _WARNED.findall(done.output)
    }
    lines = [f"{item.file}:{item.line}:" for item in scenario.required]
    # These tools know tests only: where a fixture, class or module leaks they cannot name it.
    owners = {item.owner_name for item in scenario.required if item.owner_kind == "test"}
    return Said(
        reported=True,
        right_owner=bool(owners) and blamed == owners,
        right_line=bool(lines) and all(line in done.output for line in lines),
        outcomes_kept=done.as_promised(scenario),
    )
