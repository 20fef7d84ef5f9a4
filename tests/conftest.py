"""A small suite in a real pytest process of its own, and what came of it."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from examiner.forking import ForkServer

PROJECT = Path(__file__).resolve().parents[1]
sys.path.append(str(PROJECT / "tests" / "corpus"))
_COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped|xfailed|xpassed|rerun|warnings?|deselected)\b")


@dataclasses.dataclass(frozen=True)
class Done:
    """One finished run."""

    exit_code: int
    text: str
    report: dict[str, Any] | None

    @property
    def outcomes(self) -> dict[str, int]:
        """As pytest's last line counts them, without warnings."""
        for line in reversed(self.text.splitlines()):
            if " in " in line and (found := _COUNT.findall(line)):
                counts = {name.replace("errors", "error"): int(count) for count, name in found}
                return {name: count for name, count in counts.items() if not name.startswith("warning")}
        return {}

    @property
    def leaks(self) -> list[dict[str, Any]]:
        """The leaks of the JSON report."""
        assert self.report is not None, self.text
        return self.report["leaks"]

    @property
    def owners(self) -> list[str]:
        """Whose they are, in the report's order: the test's function, or the fixture."""
        return [leak["owner"]["name"].rpartition("::")[2] for leak in self.leaks]

    @property
    def places(self) -> list[str]:
        """Where they were opened, as FILE:LINE."""
        return [
            f"{place['file']}:{place['line']}" if (place := leak["opened_at"]) else "" for leak in self.leaks
        ]

    def section(self) -> str:
        """From the summary section's title on."""
        return self.text[self.text.index("leaked socket") :]


class Suite:
    """Writes files, runs pytest on them with only the named plugins beside pytest-sockets."""

    def __init__(self, folder: Path, fork_server: ForkServer | None) -> None:
        self.folder = folder
        self._fork_server = fork_server

    def write(self, **files: str) -> Suite:
        """`test_a=...` writes test_a.py; a name with `__dot__` keeps its own suffix (`tox__dot__ini`)."""
        for name, text in files.items():
            path = self.folder / (name.replace("__dot__", ".") if "__dot__" in name else f"{name}.py")
            path.write_text(textwrap.dedent(text))
        return self

    def command(self, *arguments: str, plugins: tuple[str, ...] = (), sockets: bool = True) -> list[str]:
        loaded = ("pytest_sockets.plugin", *plugins) if sockets else plugins
        words = [word for plugin in loaded for word in ("-p", plugin)]
        return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words, *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        dropped = ("PYTEST_", "COV_", "COVERAGE_", "PYTHONDEVMODE", "PYTHONWARNINGS")
        # With the last two pytest repeats every error in its summary, whole.
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(dropped) and key not in ("CI", "BUILD_NUMBER")
        }
        path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
        return (
            kept
            | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": path, "COLUMNS": "160"}
            # Bytecode would hide that a test replaced a file within a second by one of the same size.
            | {"PYTHONDONTWRITEBYTECODE": "1"}
            | more
        )

    def run(
        self,
        *arguments: str,
        plugins: tuple[str, ...] = (),
        sockets: bool = True,
        report: bool = True,
        timeout: float = 60,
        environment: dict[str, str] | None = None,
        anew: bool = False,
        **popen: Any,
    ) -> Done:
        """Run to the end; whatever the suite leaves running is killed.

        The run is a forked child of a process that has pytest loaded. `anew` starts an interpreter instead: for what
        depends on the modules that it has imported, or on how it ends.
        """
        path = self.folder / "leaks.json"
        path.unlink(missing_ok=True)
        wanted = [f"--sockets-report={path}"] if report and sockets else []
        command = self.command(*wanted, *arguments, plugins=plugins, sockets=sockets)
        variables = self.environment(**(environment or {}))
        anew |= bool(popen) or any(name.startswith("PYTHON") for name in environment or ())
        if self._fork_server is None or anew:
            exit_code, text = self._run_anew(command, variables, timeout, **popen)
        else:
            output = self.folder / "output.txt"
            exit_code = self._fork_server.run_pytest(
                self.folder, output, command[2:], variables, timeout=timeout
            )
            text = output.read_text()
            assert exit_code is not None, f"not ended after {timeout} s:\n{text}"
        content = json.loads(path.read_text()) if path.exists() else None
        return Done(exit_code, text, content)

    def _run_anew(
        self, command: list[str], environment: dict[str, str], timeout: float, **popen: Any
    ) -> tuple[int, str]:
        with (self.folder / "output.txt").open("w+") as output:  # a pipe would stay open in leaked children
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **popen,
            )
            try:
                process.wait(timeout)
            finally:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except (ProcessLookupError, PermissionError):
                    pass
                process.wait()
            output.seek(0)
            return process.returncode, output.read()


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer | None]:
    """A process that has pytest loaded; None where processes cannot fork."""
    from examiner import forking

    if not forking.AVAILABLE:
        yield None
        return
    with forking.ForkServer() as server:
        yield server


@pytest.fixture
def suite(tmp_path: Path, fork_server: ForkServer | None) -> Suite:
    """A folder for a small suite that runs in a pytest process of its own."""
    folder = tmp_path / "suite"
    folder.mkdir()
    return Suite(folder, fork_server)
