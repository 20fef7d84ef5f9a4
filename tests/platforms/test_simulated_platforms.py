"""The whole corpus as macOS and Windows would have it, simulated by `deceive.py`: the counts may only go up."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "corpus"))

from examiner.compare import compare  # noqa: E402
from examiner.forking import AVAILABLE, ForkServer  # noqa: E402
from examiner.running import Way  # noqa: E402
from examiner.scenario import all_scenarios  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("corpus"),
    pytest.mark.skipif(not AVAILABLE, reason="needs os.fork and pidfd_open"),
]
AT_ONCE = 6
DECEIVED = Way(arguments=("-p", "deceive"))


@dataclasses.dataclass
class Count:
    """What was found over the corpus, and why the rest was not."""

    found: int = 0
    right_owner: int = 0
    right_line: int = 0
    false_alarms: int = 0
    problems: list[str] = dataclasses.field(default_factory=list)

    def add(self, scenario, done):
        if done.skipped:
            return
        if done.report is None or not done.as_promised(scenario):
            self.problems.append(f"{scenario.name}: {done.outcomes} {done.output[-500:]}")
            self.false_alarms += 1
            return
        verdict = compare(scenario, done.report["leaks"])
        whole = scenario.leaky and verdict.found == verdict.expected
        self.found += whole
        self.right_owner += whole and verdict.right_owner == verdict.expected
        self.right_line += whole and verdict.right_line == verdict.expected
        self.false_alarms += bool(verdict.false_alarms) and not scenario.leaky
        self.problems += [f"{scenario.name}: {problem}" for problem in verdict.problems]


def examine(platform, folder):
    """Run all suites as on `platform`."""
    path = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
    variables = {"PLATFORM": platform, "PYTHONPATH": os.pathsep.join([path, str(HERE.parents[1])])}
    count = Count()
    with ForkServer() as server, concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:

        def run(scenario):
            place = folder / scenario.name.replace("/", "-")
            place.mkdir()
            return scenario, server.run(scenario, place, DECEIVED, variables)

        for scenario, done in pool.map(run, [one for one in all_scenarios() if not one.missing()]):
            count.add(scenario, done)
    return count


@pytest.mark.parametrize(("platform", "at_least"), [("darwin", 198), ("win32", 172)])
def test_the_corpus_on_a_simulated_platform(platform, at_least, tmp_path):
    """Raise `at_least` with every improvement."""
    count = examine(platform, tmp_path)
    told = "\n".join(count.problems)
    print(f"{platform}: {count.found} found, {count.right_owner} owners, {count.right_line} lines right, "
          f"{count.false_alarms} false alarms")  # fmt: skip
    assert count.right_owner >= at_least, told
    assert count.false_alarms <= 1, told
