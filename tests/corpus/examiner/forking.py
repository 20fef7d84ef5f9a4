"""Suites in forked children of a process that has pytest loaded already.

`fork_server.py` is that process. A scenario gives the same result as with `running.run`, for half of the processor time,
and in a network namespace of its own where the system allows that. tests/leaks/test_corpus_runner.py compares the two ways.
"""

from __future__ import annotations

import compileall
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

from .running import PROJECT, TIMEOUT, Way, ended, environment_of, inherits, pytest_command

if TYPE_CHECKING:
    from .running import Run
    from .scenario import Scenario

_SERVER = Path(__file__).with_name("fork_server.py")
_START = "import sys; path = sys.argv[1]; exec(compile(open(path).read(), '<fork server>', 'exec'))"
AVAILABLE = hasattr(os, "fork") and hasattr(os, "pidfd_open")


class ForkServer:
    """Runs suites in forked children; a context manager."""

    def __init__(self, python: str = sys.executable, environment: dict[str, str] | None = None) -> None:
        # The children write no bytecode: each would compile the plugin again, which takes as long as the rest of its run.
        compileall.compile_dir(PROJECT / "pytest_sockets", quiet=2)
        variables = environment_of(Way(python)) | (environment or {})
        path = os.pathsep.join([variables["PYTHONPATH"], str(PROJECT / "tests" / "corpus")])
        self._process = subprocess.Popen(
            [python, "-c", _START, _SERVER],
            env=variables | {"PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._sending = threading.Lock()
        self._news = threading.Condition()
        self._reading = False
        self._sent = 0
        self._answers: dict[int, int | None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def run(
        self, scenario: Scenario, folder: Path, way: Way, environment: dict[str, str] | None = None
    ) -> Run:
        """Run `scenario` in `folder` to its end; several threads may call this at once."""
        scenario.install(folder)
        output = folder / "output.txt"
        exit_code = self.run_pytest(
            folder,
            output,
            pytest_command(scenario, folder, way),
            environment_of(way) | (environment or {}),
            isolated=True,
            inherits=inherits(scenario),
        )
        text = output.read_text(errors="replace") if output.exists() else ""
        if exit_code is None:
            text += f"\nno exit status: killed after {TIMEOUT} s, or its supervisor failed\n"
        return ended(folder, -1 if exit_code is None else exit_code, text)

    def run_pytest(
        self,
        folder: Path,
        output: Path,
        arguments: list[str],
        environment: dict[str, str],
        *,
        isolated: bool = False,
        inherits: bool = False,
        timeout: float = TIMEOUT,
    ) -> int | None:
        """The exit status of `python -m ARGUMENTS` in `folder`, or None if it took too long.

        What it left behind is killed.
        """
        job = {
            "folder": str(folder),
            "output": str(output),
            "arguments": arguments,
            "environment": environment,
            "isolated": isolated,
            "inherits": inherits,
            "timeout": timeout,
        }
        return self._answer(self._send(job))

    def _send(self, job: dict[str, object]) -> int:
        """Send a job, and return its number."""
        assert self._process.stdin is not None
        with self._sending:
            self._sent += 1
            self._process.stdin.write((json.dumps(job | {"id": self._sent}) + "\n").encode())
            self._process.stdin.flush()
            return self._sent

    def _answer(self, number: int) -> int | None:
        """The exit status of a job. Of the threads that wait, one reads the answers of all."""
        assert self._process.stdout is not None
        with self._news:
            while number not in self._answers:
                if self._reading:
                    self._news.wait()
                    continue
                self._reading = True
                self._news.release()
                try:
                    line = self._process.stdout.readline()
                finally:
                    self._news.acquire()
                    self._reading = False
                    self._news.notify_all()
                if not line:
                    return None  # the server is gone
                answer = json.loads(line)
                self._answers[answer["id"]] = answer["exit_code"]
            return self._answers.pop(number)
