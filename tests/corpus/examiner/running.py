"""One scenario in one new pytest process, with a watch on what it leaves behind."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.metadata
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .scenario import Scenario

TIMEOUT = 300.0
PROJECT = Path(__file__).resolve().parents[3]
_COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped|xfailed|xpassed|rerun)\b")


@dataclasses.dataclass(frozen=True)
class Way:
    """How pytest is started: the interpreter, arguments, and whether all installed plugins come along."""

    python: str = sys.executable
    arguments: tuple[str, ...] = ()
    autoload: bool = False
    sockets: bool = True

    @property
    def parallel(self) -> bool:
        return "-n" in self.arguments


@dataclasses.dataclass(frozen=True)
class Run:
    """What came of it."""

    exit_code: int
    outcomes: dict[str, int]
    output: str
    report: dict[str, Any] | None

    @property
    def skipped(self) -> bool:
        return set(self.outcomes) <= {"skipped"} and bool(self.outcomes)

    def as_promised(self, scenario: Scenario) -> bool:
        """Whether the tests themselves ended as the scenario says: a plugin must not change that."""
        if scenario.outcomes:
            return self.outcomes == scenario.outcomes
        return self.outcomes.get("passed", 0) > 0 and not self.outcomes.keys() & {"failed", "error"}


@functools.lru_cache
def plugin_arguments(python: str) -> tuple[str, ...]:
    """How to load pytest-sockets: by entry point where it is installed, else by module (from PYTHONPATH)."""
    if python == sys.executable:
        points = importlib.metadata.entry_points(group="pytest11")
        installed = any(point.name == "sockets" for point in points)
    else:
        code = "import importlib.metadata as m; print(any(p.name == 'sockets' for p in m.entry_points(group='pytest11')))"
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
        installed = done.stdout.strip() == "True"
    return ("-p", "sockets") if installed else ("-p", "pytest_sockets.plugin")


def run(scenario: Scenario, folder: Path, way: Way, environment: dict[str, str]) -> Run:
    """Run `scenario` in `folder` in a new process; processes that it leaves are killed."""
    scenario.install(folder)
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as inherited:
        process = subprocess.Popen(
            [way.python, "-m", *pytest_command(scenario, folder, way)],
            cwd=folder,
            env=environment_of(way) | environment | {"CORPUS_INHERITED": str(inherited.fileno())},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=[inherited.fileno()] if inherits(scenario) else [],
            start_new_session=True,
        )
        output = _finish(process)
    return ended(folder, process.returncode, output)


def ended(folder: Path, exit_code: int, output: str) -> Run:
    """The run in `folder`, which has ended."""
    report = folder / "report.json"
    content = json.loads(report.read_text()) if report.exists() else None
    return Run(exit_code, _outcomes(output), output, content)


def pytest_command(scenario: Scenario, folder: Path, way: Way) -> list[str]:
    """`pytest` and its arguments for this scenario."""
    command = ["pytest", "-p", "no:cacheprovider", *_plugins(scenario, way), *way.arguments]
    if way.sockets:
        report = folder / "report.json"
        command += [*plugin_arguments(way.python), "--sockets-leaks=warn", f"--sockets-report={report}"]
    return command + [word for word in scenario.run if way.sockets or not word.startswith("--sockets-")]


def inherits(scenario: Scenario) -> bool:
    """Whether the suite expects a listener that its parent opened, as `CORPUS_INHERITED`."""
    return "inherited" in scenario.name


def _plugins(scenario: Scenario, way: Way) -> list[str]:
    if way.autoload:
        own = ["-p", "pytester"] if "pytester" in scenario.plugins else []  # pytest's, without an entry point
        return ["-p", "no:randomly", *own]
    wanted = [*scenario.plugins, *(["xdist"] if way.parallel and "xdist" not in scenario.plugins else [])]
    return [word for plugin in wanted for word in ("-p", plugin)]


def environment_of(way: Way) -> dict[str, str]:
    """The environment variables of a run."""
    dropped = ("PYTEST_", "COV_", "COVERAGE_", "PYTHONDEVMODE", "PYTHONWARNINGS")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    if not way.autoload:
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    # An installed project wins; without one the checkout is used.
    path = os.pathsep.join(filter(None, [environment.get("PYTHONPATH"), str(PROJECT)]))
    return environment | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": path}


def _finish(process: subprocess.Popen[str]) -> str:
    # Leaked children hold our pipe open: wait for pytest itself, then end its whole group, then read to the end.
    import threading

    chunks: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=lambda: chunks.append(process.stdout.read()), daemon=True)  # type: ignore[union-attr]
    reader.start()
    try:
        process.wait(TIMEOUT)
    except subprocess.TimeoutExpired:
        chunks.append(f"\nkilled after {TIMEOUT} s\n")
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join(10)
        process.stdout.close()
    return "".join(chunks)


def _outcomes(output: str) -> dict[str, int]:
    for line in reversed(output.splitlines()):
        if " in " in line and (found := _COUNT.findall(line)):
            return {name.replace("errors", "error"): int(count) for count, name in found}
    return {}
