"""What leak detection costs a suite of empty tests: CPU seconds of whole pytest runs, interleaved, smallest and median.

    python benchmarks/overhead.py [--tests 4000] [--rounds 7] [--only NAME] [--check]

Each row compares `--sockets-leaks=error` with the same run without the plugin: alone, with 500 sockets held by a session
fixture, with 10,000 sockets of another process, with one parameter a test, and `--collect-only`. The last rows are what
others cost for each test: a fixture that reads psutil before and after, and pytest's own `--lsof`. `--check` exits 1 if a
ratio of the smallest times misses its limit by more than 20 % of the excess (1.03 means 3 %, so 1.036).
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
LIMIT = 1.03
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
OURS = ("-p", "pytest_sockets.plugin", "--sockets-leaks=error")


@dataclasses.dataclass(frozen=True)
class Row:
    """One comparison: the same suite with and without what is measured."""

    name: str
    count: int
    measured: tuple[str, ...]
    conftest: str = ""
    plain_conftest: str = ""
    both: tuple[str, ...] = ()
    foreign: bool = False
    parameters: bool = False
    limit: float | None = None


def rows(count: int) -> list[Row]:
    few, one = max(count // 20, 50), HOLD.replace("500", "1")
    return [
        Row("nothing open", count, OURS, limit=LIMIT),
        Row("500 sockets held by a session fixture", count, OURS, HOLD, HOLD, limit=LIMIT),
        Row("10,000 sockets of another process", count, OURS, foreign=True, limit=LIMIT),
        Row("one parameter a test", count, OURS, parameters=True),
        Row("--collect-only", count, OURS, both=("--collect-only",), limit=LIMIT),
        Row(
            "psutil in a fixture, 1 socket open",
            few,
            (),
            PSUTIL + one,
            one,
        ),
        Row(
            "psutil in a fixture, 10,000 foreign",
            few,
            (),
            PSUTIL + one,
            one,
            foreign=True,
        ),
        Row("pytest --lsof", few, ("--lsof", "-p", "pytester"), plain_conftest="", both=()),
    ]


def cpu_seconds(folder: Path, arguments: tuple[str, ...]) -> float:
    """User and system time of one pytest run and its children."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header", *arguments]
    dropped = ("PYTEST_", "COV_", "PYTHON")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    # Compiled files are part of every real run; the checkout stays clean of them.
    environment |= {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": str(PROJECT),
        "PYTHONPYCACHEPREFIX": str(folder.parent / "pyc"),
    }
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


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


def suite(folder: Path, row: Row, conftest: str) -> Path:
    folder.mkdir()
    tests = "\n".join(f"def test_{number}(): pass" for number in range(row.count))
    (folder / "test_empty.py").write_text(PARAMETERS.format(count=row.count) if row.parameters else tests)
    (folder / "conftest.py").write_text(conftest)
    return folder


def measure(row: Row, rounds: int) -> tuple[list[float], list[float]]:
    """The plain runs and the measured ones, taken in turn."""
    with tempfile.TemporaryDirectory() as folder, foreign_sockets(row.foreign):
        plain = suite(Path(folder, "plain"), row, row.plain_conftest)
        with_it = suite(Path(folder, "measured"), row, row.conftest)
        arms = [(plain, row.both), (with_it, (*row.both, *row.measured))]
        for arm in arms:
            cpu_seconds(*arm)  # compiles
        times: list[list[float]] = [[], []]
        for round_number in range(rounds):
            for position in (0, 1) if round_number % 2 else (1, 0):
                times[position].append(cpu_seconds(*arms[position]))
    return times[0], times[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tests", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    options = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, {options.tests} tests, {options.rounds} rounds, CPU seconds")
    print(f"{'':40} {'plain':>7} {'with':>7} {'ratio of min':>13} {'of median':>10} {'us a test':>10}")
    missed = []
    for row in rows(options.tests):
        if options.only not in row.name:
            continue
        plain, with_it = measure(row, options.rounds)
        ratio = min(with_it) / min(plain)
        median = statistics.median(with_it) / statistics.median(plain)
        each = (min(with_it) - min(plain)) / row.count * 1e6
        print(
            f"{row.name:40} {min(plain):7.3f} {min(with_it):7.3f} {ratio:13.3f} {median:10.3f} {each:10.1f}",
            flush=True,
        )
        if row.limit is not None and ratio > 1 + (row.limit - 1) * 1.2:
            missed.append(f"{row.name}: {ratio:.3f} is above {row.limit}")
    if options.check and missed:
        raise SystemExit("\n".join(missed))


if __name__ == "__main__":
    main()
