"""What leak detection costs a suite of empty tests: CPU seconds of whole pytest runs, taken in turn with and without it.

    python benchmarks/overhead.py [--tests 4000] [--rounds 7] [--only NAME] [--check]
    python benchmarks/overhead.py --instructions     # counted by valgrind: the same to 1 % on a noisy machine, but slow

Each row compares `--sockets-leaks=error` with the same run with `-p no:sockets`: alone, with 500 sockets held by a session
fixture, with 10,000 sockets of another process, with one parameter a test, and `--collect-only`. The ratio is that of the
smallest times, min .. max that of the rounds. The last rows are what others cost for each test: a fixture that reads psutil
before and after, and pytest's own `--lsof`. `--check` exits 1 if a ratio misses its goal by more than 20 % of the excess
(1.03 means 3 %, so 1.036).

`--instructions` runs two sizes of each suite, which tells the start-up's cost from that of each test; the ratio is for
`--tests` tests by extrapolation. The kernel's work (system calls) is not counted: on both sides. The last rows count one
test that uses sockets, without the start-up.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import importlib.metadata
import itertools
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import results
import socket_tests
from results import PROJECT, Goal, Result

if TYPE_CHECKING:
    from collections.abc import Iterator

GOAL = Goal("at most", 1.03, base=1.0)
EMPTY_GOAL = Goal("at most", 1.02, base=1.0)
SOCKETS_GOAL = Goal("at most", 1.05, base=1.0, tolerance=0.6)
"""Missed above 1.08."""
GARBAGE_GOAL = Goal("at most", 1.10, base=1.0)
SIZES = (1, 2000)
QUICK_SIZES = (20, 60)
"""Tests of the two suites whose instructions are counted."""
PARAMETERS = "import pytest\n@pytest.mark.parametrize('n', range({count}))\ndef test_empty(n): pass\n"
HOLD = """
import pytest, socket
@pytest.fixture(scope="session", autouse=True)
def held():
    sockets = [socket.socket() for _ in range(500)]
    yield
    for sock in sockets: sock.close()
"""
PSUTIL = """
import psutil, pytest
@pytest.fixture(autouse=True)
def no_leaks():
    process = psutil.Process()
    before = set(process.net_connections())
    yield
    assert not set(process.net_connections()) - before
"""
FOREIGN = """
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (10100, 10100))
kept = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(10000)]
for sock in kept: sock.bind(("127.0.0.1", 0))
print("ready", flush=True)
sys.stdin.read()
"""
OURS = ("--sockets-leaks=error",)
WITHOUT = ("-p", "no:sockets")
_COUNTED = re.compile(r"Collected : (\d+)")
_VALGRIND = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")


@dataclasses.dataclass(frozen=True)
class Case:
    """The same suite with and without what is measured."""

    name: str
    measured: tuple[str, ...] = OURS
    conftest: str = ""
    plain_conftest: str = ""
    both: tuple[str, ...] = ()
    foreign: bool = False
    parameters: bool = False
    test: tuple[str, str] = ("", socket_tests.EMPTY)
    """The top of the test module, and one test."""
    goal: Goal | None = None
    beside: str = ""
    """For what others cost: the case of ours with the same surroundings."""


_ONE = HOLD.replace("500", "1")
ALONE, CROWDED = "nothing open", "10,000 sockets of another process"
LSOF = "pytest --lsof"
GARBAGE = Case("sockets left in a cycle", test=socket_tests.GARBAGE, goal=GARBAGE_GOAL)
NO_GC = "import gc\ngc.disable()\n"
"""A single full collection, in one of the two runs, would count more than a hundred tests."""
ONE_TEST = (
    Case("empty", conftest=NO_GC, plain_conftest=NO_GC, goal=EMPTY_GOAL),
    Case(
        "three plain sockets",
        conftest=NO_GC,
        plain_conftest=NO_GC,
        test=socket_tests.PLAIN,
        goal=SOCKETS_GOAL,
    ),
    Case(
        "asyncio server and client",
        conftest=NO_GC,
        plain_conftest=NO_GC,
        test=socket_tests.ASYNCIO,
        goal=SOCKETS_GOAL,
    ),
    Case(
        "aiohttp server, three requests",
        conftest=NO_GC,
        plain_conftest=NO_GC,
        test=socket_tests.AIOHTTP,
        goal=SOCKETS_GOAL,
    ),
    Case(
        "requests against http.server",
        conftest=NO_GC,
        plain_conftest=NO_GC,
        test=socket_tests.REQUESTS,
        goal=SOCKETS_GOAL,
    ),
)
SOCKET_SIZES = (20, 60)
CASES = (
    Case(ALONE, goal=GOAL),
    Case("500 sockets held by a session fixture", conftest=HOLD, plain_conftest=HOLD, goal=GOAL),
    Case(CROWDED, foreign=True, goal=GOAL),
    Case("one parameter a test", parameters=True),
    Case("--collect-only", both=("--collect-only",), goal=GOAL),
)
OTHERS = (
    Case("psutil in a fixture", WITHOUT, PSUTIL + _ONE, _ONE, beside=ALONE),
    Case("psutil in a fixture", WITHOUT, PSUTIL + _ONE, _ONE, foreign=True, beside=CROWDED),
    Case(LSOF, (*WITHOUT, "--lsof", "-p", "pytester"), beside=ALONE),
)


@functools.cache
def _without_others() -> tuple[str, ...]:
    """Other installed plugins are read and blocked on both sides."""
    others = {point.name for point in importlib.metadata.entry_points(group="pytest11")} - {"sockets"}
    return tuple(f"-pno:{name}" for name in sorted(others))


def install(folder: Path) -> None:
    """The project as pip would list it: pytest reads the lists of all installed files, and loads the plugin by its name."""
    listed = folder / "installed" / "pytest_sockets-0.dist-info"
    listed.mkdir(parents=True)
    (listed / "METADATA").write_text("Metadata-Version: 2.1\nName: pytest-sockets\nVersion: 0\n")
    (listed / "entry_points.txt").write_text("[pytest11]\nsockets = pytest_sockets.plugin\n")
    files = sorted((PROJECT / "pytest_sockets").rglob("*.py"))
    (listed / "RECORD").write_text("".join(f"{path.relative_to(PROJECT)},,\n" for path in files))


class Arm(NamedTuple):
    """One way to run a suite."""

    folder: Path
    arguments: tuple[str, ...]

    @property
    def command(self) -> list[str]:
        """Of pytest."""
        return [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header", *_without_others(),
            *self.arguments,
        ]  # fmt: skip

    def run(self, *prefix: str) -> subprocess.CompletedProcess[str]:
        """To the end; compiled files are part of every real run, and the checkout stays clean of them."""
        dropped = ("PYTEST_", "COV_", "PYTHON")
        environment = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
        environment |= {
            "PYTHONPATH": os.pathsep.join([str(self.folder.parent / "installed"), str(PROJECT)]),
            "PYTHONPYCACHEPREFIX": str(self.folder.parent / "pyc"),
            "PYTHONHASHSEED": "0",
        }
        done = subprocess.run(
            [*prefix, *self.command], cwd=self.folder, env=environment, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(self.command)} failed:\n{done.stdout}\n{done.stderr}")
        return done

    def cpu_seconds(self) -> float:
        """User and system time of one run and its children."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.run()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def instructions(self) -> int:
        """Of the pytest process, without the kernel's."""
        said = _COUNTED.search(self.run(*_VALGRIND).stderr)
        if said is None:
            raise SystemExit("valgrind did not say how many instructions it counted")
        return int(said[1])


@contextlib.contextmanager
def foreign_sockets(wanted: bool):
    """Ten thousand sockets in another process."""
    if not wanted:
        yield
        return
    crowd = subprocess.Popen(
        [sys.executable, "-c", FOREIGN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        if crowd.stdout.readline() != "ready\n":
            raise SystemExit("no process with 10,000 sockets could be made: raise `ulimit -n`")
        yield
    finally:
        crowd.communicate()


def suite(folder: Path, case: Case, count: int, conftest: str) -> Path:
    """So many tests of the case."""
    folder.mkdir()
    top, test = case.test
    tests = top + "\n".join(test.format(number=number) for number in range(count))
    (folder / "test_empty.py").write_text(PARAMETERS.format(count=count) if case.parameters else tests)
    (folder / "conftest.py").write_text(conftest)
    return folder


@contextlib.contextmanager
def arms(case: Case, count: int) -> Iterator[tuple[Arm, Arm]]:
    """Without and with, compiled."""
    with tempfile.TemporaryDirectory() as folder, foreign_sockets(case.foreign):
        install(Path(folder))
        plain = suite(Path(folder, "plain"), case, count, case.plain_conftest)
        with_it = suite(Path(folder, "measured"), case, count, case.conftest)
        both = Arm(plain, (*case.both, *WITHOUT)), Arm(with_it, (*case.both, *case.measured))
        for arm in both:
            arm.run()
        yield both


class Times(NamedTuple):
    """CPU seconds of each round."""

    plain: list[float]
    measured: list[float]
    count: int

    @property
    def extra(self) -> float:
        """Microseconds a test, its share of the start-up included."""
        return (min(self.measured) - min(self.plain)) / self.count * 1e6

    @property
    def ratios(self) -> tuple[float, ...]:
        """Of each round."""
        return tuple(one / other for one, other in zip(self.measured, self.plain, strict=True))


def take_times(case: Case, count: int, rounds: int) -> Times:
    """The plain runs and the measured ones, taken in turn."""
    times = Times([], [], count)
    with arms(case, count) as both:
        for round_number in range(rounds):
            for position in (0, 1) if round_number % 2 else (1, 0):
                times[position].append(both[position].cpu_seconds())
    return times


def measure(tests: int = 4000, rounds: int = 7, only: str = "") -> Iterator[Result]:
    """Ours against nothing, then the others against nothing beside ours."""
    extra: dict[str, float] = {}
    for case in CASES:
        if only not in case.name:
            continue
        times = take_times(case, tests, rounds)
        extra[case.name] = times.extra
        yield Result(
            f"{tests:,} empty tests, {case.name}",
            min(times.measured),
            "s CPU",
            min(times.plain),
            "without",
            times.ratios,
            estimate=min(times.measured) / min(times.plain),
            goal=case.goal,
        )
    if only in GARBAGE.name:
        times = take_times(GARBAGE, max(tests // 8, 10), rounds)
        with_it, without = min(times.measured), min(times.plain)
        yield Result(
            f"{max(tests // 8, 10):,} tests, {GARBAGE.name}", with_it, "s CPU", without, "without", times.ratios,
            estimate=with_it / without, goal=GARBAGE_GOAL,
        )  # fmt: skip
    for case in OTHERS:
        if case.beside in extra and (case.name != LSOF or shutil.which("lsof")):
            times = take_times(case, max(tests // 40, 10), min(rounds, 3))  # milliseconds a test: few show it
            name = f"added to a test, {case.beside}"
            yield Result(name, extra[case.beside], "us CPU", times.extra, case.name)


class Line(NamedTuple):
    """Instructions: so many before the first test and so many for each."""

    start: float
    each: float

    def at(self, count: int) -> float:
        """For so many tests."""
        return self.start + self.each * count


def measure_instructions(
    sizes: tuple[int, int] = SIZES, tests: int = 4000, only: str = ""
) -> Iterator[Result]:
    """The cases of ours."""
    if not shutil.which(_VALGRIND[0]):
        raise SystemExit("--instructions needs valgrind")
    for case in CASES:
        if only in case.name:
            plain, measured = count_instructions(case, sizes)
            yield Result(
                f"{tests:,} empty tests, {case.name}",
                measured.at(tests) / 1e6,
                "M instr.",
                plain.at(tests) / 1e6,
                "without",
                estimate=measured.at(tests) / plain.at(tests),
                goal=case.goal,
                note=f"start-up {plain.start / 1e6:,.0f} M and {(measured.start - plain.start) / 1e6:+,.1f} M, "
                f"each test {plain.each / 1e3:,.0f} k and {(measured.each - plain.each) / 1e3:+,.1f} k",
            )


def measure_one_test(sizes: tuple[int, int] = SOCKET_SIZES, only: str = "") -> Iterator[Result]:
    """The instructions of a single test: the difference of two suites, divided by that of their sizes."""
    for case in ONE_TEST:
        if only in case.name:
            plain, measured = count_instructions(case, sizes)
            yield Result(
                f"one test, {case.name}",
                measured.each / 1e3,
                "k instr.",
                plain.each / 1e3,
                "without",
                estimate=measured.each / plain.each,
                goal=case.goal,
                note=f"{(measured.each - plain.each) / 1e3:+,.1f} k",
            )


def count_instructions(case: Case, sizes: tuple[int, int]) -> tuple[Line, Line]:
    """Without and with."""
    counts: list[tuple[int, int]] = []
    for size in sizes:
        with arms(case, size) as (plain, measured):
            counts.append((plain.instructions(), measured.instructions()))
    (few, more), lines = counts, []
    for least, most in zip(few, more, strict=True):
        each = (most - least) / (sizes[1] - sizes[0])
        lines.append(Line(least - each * sizes[0], each))
    return lines[0], lines[1]


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tests", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--instructions", action="store_true")
    parser.add_argument("--sizes", type=int, nargs=2, default=SIZES, help="of the suites that are counted")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    options = parser.parse_args()
    if options.instructions:
        sizes, only = tuple(options.sizes), options.only
        found = itertools.chain(measure_instructions(sizes, options.tests, only), measure_one_test(only=only))
    else:
        found = measure(options.tests, options.rounds, options.only)
    shown = results.show(found)
    if options.check:
        results.check(shown)


if __name__ == "__main__":
    main()
