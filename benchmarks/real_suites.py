"""Run the test suites that network packages ship in their sdists, with and without pytest-sockets.

    python benchmarks/real_suites.py                        # all, two interleaved pairs of runs each
    python benchmarks/real_suites.py --only trio anyio --runs 3 --xdist
    python benchmarks/real_suites.py --gate                 # what CI runs: about 2,000 tests

For each suite: an environment of its own, the sdist by name and version from PyPI, then runs without and with the plugin in
turn. Of the largest suites the parts that speak to the network are run. A test counts as changed when no outcome that it had
without the plugin was seen with it (network suites have flaky tests: these are counted apart). Cost is CPU time of the whole
run, children included, as ratio of the minima.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

from network_suites import SUITES, Suite

PROJECT = Path(__file__).resolve().parent.parent
TIMEOUT = 400.0
BUILD_TOOLS = (
    "pip", "setuptools", "wheel", "setuptools-scm", "hatchling", "hatch-vcs", "hatch-fancy-pypi-readme", "flit-core",
    "poetry-core", "pdm-backend", "scikit-build-core", "cython", "cffi", "packaging", "pkgconfig", "expandvars",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Done:
    """One run of one suite."""

    outcomes: dict[str, tuple[str, ...]]
    cpu: float
    seconds: float
    exit_code: int
    leaks: list[dict[str, object]]
    output: str


class Bench:
    """Where environments and sdists are kept between calls."""

    def __init__(self, cache: Path, python: str) -> None:
        self.cache = cache
        self.python = python
        # Not the project's root: its folder `tests` would be importable beside the suites' own `tests`.
        self.link = cache / "plugin"
        self.link.mkdir(parents=True, exist_ok=True)
        for name, target in (
            ("pytest_sockets", "pytest_sockets"),
            ("recording.py", "benchmarks/recording.py"),
        ):
            if not (self.link / name).exists():
                (self.link / name).symlink_to(PROJECT / target)

    def prepare(self, suite: Suite) -> tuple[Path, Path]:
        """(interpreter, folder with the tests) of a suite; made on first use."""
        home = self.cache / suite.title.replace(" ", "-")
        python = self._environment(home / "venv", [f"{suite.name}{suite.extra}=={suite.version}", "pytest", "psutil",
                                                   "portpicker", *suite.requires])  # fmt: skip
        tests = home / "tests"
        if not tests.exists():
            self._unpack(suite, home / "sdist", tests)
        return python, tests

    def _environment(self, folder: Path, requirements: list[str]) -> Path:
        python = folder / "bin" / "python"
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([self.python, "-m", "venv", folder], check=True)
            subprocess.run(
                [python, "-m", "pip", "install", "-q", *requirements], check=True, stderr=subprocess.DEVNULL
            )
            (folder / "ready").touch()
        return python

    def _unpack(self, suite: Suite, downloads: Path, tests: Path) -> None:
        # pip asks the sdist's build backend for its metadata: with the tools at hand that needs no isolated build.
        python = self._environment(self.cache / "build", list(BUILD_TOOLS))
        subprocess.run(
            [python, "-m", "pip", "download", "-q", "--no-deps", "--no-binary=:all:", "--no-build-isolation",
             "-d", downloads, f"{suite.name}=={suite.version}"],
            check=True, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        (sdist,) = downloads.glob("*.tar.gz")
        with tarfile.open(sdist) as archive:
            archive.extractall(downloads, filter="data")
        (root,) = (path for path in downloads.iterdir() if path.is_dir())
        tests.mkdir()
        for part in suite.parts:
            (shutil.copytree if (root / part).is_dir() else shutil.copy)(root / part, tests / part)
        if not any((tests / name).exists() for name in ("pytest.ini", "pyproject.toml", "setup.cfg")):
            (tests / "pytest.ini").write_text("[pytest]\n")  # or the settings of a folder above would count
        if suite.conftest:
            (tests / "conftest.py").write_text(suite.conftest)

    def run(self, suite: Suite, *, plugin: bool, xdist: bool) -> Done:
        """Run the suite once."""
        python, tests = self.prepare(suite)
        record, report = tests / "outcomes.json", tests / "sockets.json"
        for old in (record, report):
            old.unlink(missing_ok=True)
        command = [
            str(python),
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-p",
            "recording",
            "-q",
            "--no-header",
        ]
        command += list(suite.arguments)
        if plugin:
            command += ["-p", "pytest_sockets.plugin", "--sockets-leaks=warn", f"--sockets-report={report}"]
        if xdist:
            command += ["-n", "2"]
        path = os.pathsep.join([str(self.link), *([str(tests / suite.path)] if suite.path else [])])
        environment = os.environ | {"PYTHONPATH": path, "REAL_SUITES_OUTCOMES": str(record), "NO_COLOR": "1"}
        started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        exit_code, output = _run(command, tests, environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        outcomes = json.loads(record.read_text()) if record.exists() else {}
        return Done(
            outcomes={name: tuple(sorted(set(seen))) for name, seen in outcomes.items()},
            cpu=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            seconds=time.perf_counter() - started,
            exit_code=exit_code,
            leaks=json.loads(report.read_text())["leaks"] if report.exists() else [],
            output=output,
        )


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    log = folder / "output.txt"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
        try:
            process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):  # servers that the suite left
                os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, log.read_text(errors="replace")


def compare(without: list[Done], with_plugin: list[Done]) -> tuple[list[str], list[str]]:
    """(changed tests, flaky tests), with their outcomes."""
    changed, flaky = [], []
    names = {name for done in (*without, *with_plugin) for name in done.outcomes}
    for name in sorted(names):
        off = {done.outcomes.get(name, ("missing",)) for done in without}
        on = {done.outcomes.get(name, ("missing",)) for done in with_plugin}
        if off.isdisjoint(on):
            changed.append(f"{name}: {sorted(off)} -> {sorted(on)}")
        elif off != on:
            flaky.append(f"{name}: {sorted(off)} without, {sorted(on)} with")
    return changed, flaky


def main() -> int:
    """Run the suites; 1 if the plugin changed an outcome or an exit status, or a suite of the gate did not run."""
    options = _options()
    verdict = 0
    for suite in SUITES:
        if (options.only and suite.name not in options.only) or (options.gate and not suite.gate):
            continue
        bench = Bench(options.cache.resolve(), f"python{suite.gate}" if options.gate else options.python)
        try:
            bench.prepare(suite)
        except (subprocess.CalledProcessError, OSError, ValueError) as error:
            print(f"## {suite.title}\nnot prepared: {error}\n", flush=True)
            verdict |= options.gate
            continue
        without: list[Done] = []
        with_plugin: list[Done] = []
        while len(without) < options.runs:
            without.append(bench.run(suite, plugin=False, xdist=options.xdist))
            with_plugin.append(bench.run(suite, plugin=True, xdist=options.xdist))
            if options.gate and not (compare(without, with_plugin)[0] or faults_of(without, with_plugin)):
                break  # foreign suites have tests that depend on the machine's load: only a difference needs more pairs
        verdict |= _show(suite, bench.python, without, with_plugin)
    return verdict


def faults_of(without: list[Done], with_plugin: list[Done]) -> list[str]:
    """What is wrong with a pair of runs as a whole: no tests, a signal, a different exit status."""
    faults = []
    if not without[0].outcomes:
        faults.append("no test ran without the plugin")
    if signals := [done.exit_code for done in with_plugin if done.exit_code < 0]:
        faults.append(f"ended by signal {-signals[0]} with the plugin")
    off, on = ({done.exit_code for done in runs} for runs in (without, with_plugin))
    if off.isdisjoint(on):
        faults.append(f"exit status {sorted(off)} without, {sorted(on)} with the plugin")
    return faults


def _show(suite: Suite, python: str, without: list[Done], with_plugin: list[Done]) -> int:
    changed, flaky = compare(without, with_plugin)
    faults = faults_of(without, with_plugin)
    counted = collections.Counter(outcome for seen in without[0].outcomes.values() for outcome in seen)
    cost = min(done.cpu for done in with_plugin) / max(min(done.cpu for done in without), 1e-9)
    print(f"## {suite.title}, {python}")
    print(
        f"tests {len(without[0].outcomes)} ({', '.join(f'{n} {name}' for name, n in counted.most_common())})"
    )
    print(
        f"exit codes {[done.exit_code for done in without]} without, {[done.exit_code for done in with_plugin]} with"
    )
    print(f"changed outcomes {len(changed)}, flaky {len(flaky)}, CPU ratio {cost:.2f}")
    print(
        f"CPU s {[round(done.cpu, 1) for done in without]} -> {[round(done.cpu, 1) for done in with_plugin]}"
    )
    for line in changed[:20]:
        print(f"  changed: {line}")
    for line in flaky[:20]:
        print(f"  flaky: {line}")
    for line in faults:
        print(f"  {line}")
    if faults:
        print(without[0].output[-1500:], with_plugin[0].output[-3000:], sep="\n")
    leaks = collections.Counter(_leak_line(leak) for done in with_plugin for leak in done.leaks)
    print(f"leaks {[len(done.leaks) for done in with_plugin]}, places {len(leaks)}")
    for line, count in leaks.most_common(80):
        print(f"  {count:3} x {line}")
    print(flush=True)
    return int(bool(changed or faults))


def _leak_line(leak: dict) -> str:  # type: ignore[type-arg]
    at, owner, sock = leak["opened_at"], leak["owner"], leak["socket"]
    place = f"{at['file']}:{at['line']} in {at['function']}" if at else "no Python line"
    child = f" in {sock['process'][:60]}" if sock.get("process") else ""
    return f"{leak['kind']} {sock['protocol']} {sock['status']}{child}, {owner['kind']} {owner['name']}, at {place}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=[suite.name for suite in SUITES])
    parser.add_argument(
        "--gate",
        action="store_true",
        help="only CI's suites, each on its Python; further pairs only for a difference",
    )
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--xdist", action="store_true", help="run with -n 2 where pytest-xdist is there")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(".real-suites"),
        help="environments and sdists (default: %(default)s)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
