"""The corpus as a matrix: what pytest-sockets and its alternatives find, on the right owner and line, and what they invent.

    python benchmarks/corpus.py                                      # this interpreter, plain, all tools
    python benchmarks/corpus.py --tools sockets --ways plain xdist all --python python3.11 --python python3.13
    python benchmarks/corpus.py --only 'threads/*' --verbose

Ways: `plain` loads only the plugins that a scenario asks for; `xdist` adds -n 2 --dist loadfile; `all` loads every
installed plugin. An interpreter is any that has pytest (of any version) and what the scenarios need; what it lacks is
skipped and counted.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import fnmatch
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.append(str(PROJECT / "tests" / "corpus"))

from examiner.peers import peers  # noqa: E402
from examiner.running import Way  # noqa: E402
from examiner.scenario import Scenario, all_scenarios  # noqa: E402
from examiner.tools import ALTERNATIVES, SOCKETS, Said, Tool, examine  # noqa: E402

_ASYNCIO = ("-o", "asyncio_default_fixture_loop_scope=function")
"""Unset, pytest-asyncio says a warning at configure time, which is an error for those who want all warnings to be."""
WAYS = {
    "plain": Way(),
    "xdist": Way(arguments=("-n", "2", "--dist", "loadfile")),
    "all": Way(arguments=_ASYNCIO, autoload=True),
}
_PROBE = """
import importlib.util, json, platform, shutil, sys, pytest
there = [n for n in sys.argv[1:] if shutil.which(n) or importlib.util.find_spec(n.replace("-", "_"))]
print(json.dumps([there, f"{platform.python_version()}, pytest {pytest.__version__}"]))
"""


def main() -> int:
    """Run the matrix and print it; 1 if pytest-sockets missed or invented anything."""
    options = _options()
    wanted = [scenario for scenario in all_scenarios() if fnmatch.fnmatch(scenario.name, options.only)]
    tools = [SOCKETS, *ALTERNATIVES] if options.tools == "all" else [SOCKETS]
    print("| python | way | tool | leaky suites | found | right owner | right line | clean suites | false alarms "
          "| outcomes changed | seconds |\n" + "|---" * 11 + "|")  # fmt: skip
    faults: dict[str, tuple[str, ...]] = {}
    with peers() as environment:
        environment["PYTHONPATH"] = os.pathsep.join([str(PROJECT / "tests" / "corpus"), str(PROJECT)])
        for python, way, tool in itertools.product(options.python, options.ways, tools):
            started = time.perf_counter()
            version, said = _examine_all(tool, wanted, python, WAYS[way], environment, options.jobs)
            print(_row(version, way, tool, said, time.perf_counter() - started), flush=True)
            if tool is SOCKETS:
                faults |= {
                    f"{version} {way} {one.name}": got.problems for one, got in said.items() if got.problems
                }
            if options.verbose:
                _print_each(said)
    for where, problems in faults.items():
        print(f"\n{where}\n  " + "\n  ".join(problems))
    return 1 if faults else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", action="append", help="an interpreter; repeatable (default: this one)")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=["plain"])
    parser.add_argument("--tools", choices=["all", "sockets"], default="all")
    parser.add_argument("--only", default="*", metavar="GLOB")
    parser.add_argument("--jobs", type=int, default=3)
    parser.add_argument("--verbose", action="store_true", help="say for each suite what was said")
    options = parser.parse_args()
    options.python = options.python or [sys.executable]
    return options


def _examine_all(
    tool: Tool, wanted: list[Scenario], python: str, way: Way, environment: dict[str, str], jobs: int
) -> tuple[str, dict[Scenario, Said]]:
    base = Way(python, way.arguments, way.autoload)
    version, possible = _possible(wanted, python)
    if tool is not SOCKETS:  # scenarios of our options leak on purpose
        possible = [scenario for scenario in possible if scenario.topic != "options"]
    if base.parallel:
        possible = [scenario for scenario in possible if not scenario.one_process]
    if base.autoload:  # pytest-retry raises ValueError in a nested run of the same process
        possible = [scenario for scenario in possible if "pytester" not in scenario.plugins]
    with tempfile.TemporaryDirectory() as root, concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        started = {}
        for number, scenario in enumerate(possible):
            folder = Path(root, str(number))
            folder.mkdir()
            started[scenario.name] = pool.submit(examine, tool, scenario, folder, base, environment)
        said = {scenario: started[scenario.name].result() for scenario in possible}
    return version, {scenario: got for scenario, got in said.items() if not got.skipped}


def _possible(wanted: list[Scenario], python: str) -> tuple[str, list[Scenario]]:
    needs = sorted({need for scenario in wanted for need in scenario.all_needs})
    done = subprocess.run([python, "-c", _PROBE, *needs], capture_output=True, text=True, check=True)
    there, version = json.loads(done.stdout)
    return version, [scenario for scenario in wanted if set(scenario.all_needs) <= set(there)]


def _row(version: str, way: str, tool: Tool, said: dict[Scenario, Said], seconds: float) -> str:
    count = collections.Counter[str]()
    for scenario, got in said.items():
        count["changed"] += not got.outcomes_kept
        if scenario.leaky:
            count["leaky"] += 1
            count["found"] += got.reported
            count["owner"] += got.right_owner
            count["line"] += got.right_line
        else:
            count["clean"] += 1
            count["false"] += got.reported
    cells = [count[key] for key in ("leaky", "found", "owner", "line", "clean", "false", "changed")]
    return f"| {version} | {way} | {tool.name} | " + " | ".join(map(str, cells)) + f" | {seconds:.0f} |"


def _print_each(said: dict[Scenario, Said]) -> None:
    for scenario, got in said.items():
        owner, line = ("owner" if got.right_owner else "", "line" if got.right_line else "")
        print(f"    {scenario.name:45} {'reported' if got.reported else 'silent':10} {owner:6} {line}")


if __name__ == "__main__":
    sys.exit(main())
