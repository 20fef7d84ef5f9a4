"""No server outlives a pytest, an xdist worker or a program that was killed with SIGKILL: one second later nothing is left."""  # noqa: E501

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import pytest

from pytest_sockets.waiting import wait_until

from .conftest import is_alive, left_after, pids_with

SUITE = """
    import os, sys, time, pathlib, pytest
    HTTP = [sys.executable, "-m", "http.server", "{port}", "--bind", "{host}"]
    # A daemon of its own session, and one that ignores SIGTERM.
    DAEMON = "import os, signal, sys, time; signal.signal(15, signal.SIG_IGN); os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); print('asleep', flush=True); time.sleep(600)"

    @pytest.fixture(scope="session")
    def servers(session_server_process_factory, worker_id="-"):
        make = session_server_process_factory
        yield [
            make(HTTP),
            make(["sh", "-c", '"$@" & "$@" & wait', "sh", sys.executable, "-c", "import time; time.sleep(600)"], ready=lambda s: len(s.tree()) == 3),
            make([sys.executable, "-c", DAEMON], ready=lambda s: "asleep" in s.output and len(s.tree()) == 1),
        ] + SHARED

    @pytest.mark.parametrize("n", range(2))
    def test_runs(servers, n, tmp_path_factory):
        pids = [str(pid) for server in servers for pid in server.tree()]
        path = pathlib.Path(f"pids-{os.getpid()}")
        path.with_suffix(".new").write_text(" ".join(pids))
        path.with_suffix(".new").rename(path)
        time.sleep(600)
"""  # noqa: E501


class Run:
    """A pytest in the middle of its tests."""

    def __init__(
        self, suite, *arguments: str, workers: int, shared: bool = False, plugins: tuple[str, ...] = ()
    ) -> None:
        text = SUITE.replace("SHARED", "[make(HTTP, shared=True)]" if shared else "[]")
        suite.write(test_runs=text)
        self.folder = suite.folder
        self.mark = uuid.uuid4().hex
        self.temporary = Path(tempfile.mkdtemp(prefix="run-"))  # short: a unix socket is made in it
        self.output = (suite.folder / "output.txt").open("w+")
        self.process = subprocess.Popen(
            suite.command(*arguments, plugins=plugins),
            cwd=suite.folder,
            env=suite.environment(SOCKETS_TEST_RUN=self.mark, TMPDIR=str(self.temporary)),
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert wait_until(lambda: len(self.files()) == workers, 60), self.text()

    def files(self) -> list[Path]:
        return [path for path in self.folder.glob("pids-*") if not path.suffix]

    def pids_of(self, worker: int) -> list[int]:
        return [int(word) for word in (self.folder / f"pids-{worker}").read_text().split()]

    @property
    def workers(self) -> list[int]:
        return [int(path.name.removeprefix("pids-")) for path in self.files()]

    def shared_folders(self) -> list[Path]:
        return list(self.temporary.glob("pytest-sockets-*"))

    def text(self) -> str:
        self.output.seek(0)
        return self.output.read()

    def close(self) -> None:
        for pid in pids_with("SOCKETS_TEST_RUN", self.mark):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self.output.close()
        shutil.rmtree(self.temporary)


@pytest.fixture
def run(suite):
    runs: list[Run] = []

    def start(*arguments: str, **settings) -> Run:
        runs.append(Run(suite, *arguments, **settings))
        return runs[-1]

    yield start
    for one in runs:
        one.close()


def test_after_kill_of_pytest(run):
    running = run(workers=1)
    pids = running.pids_of(running.process.pid)
    assert len(pids) == 5
    running.process.kill()
    running.process.wait()
    assert left_after(pids, 1.0) == []


def test_the_twin_without_a_keeper_leaves_its_server(tmp_path: Path):
    """So the tests here would notice an orphan."""
    code = "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); print(p.pid, flush=True); time.sleep(600)"  # noqa: E501
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    pid = int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()
    try:
        assert left_after([pid], 0.5) == [pid]
    finally:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("shared", [False, True])
def test_after_kill_of_the_xdist_controller(run, shared: bool):
    running = run("-n", "2", workers=2, shared=shared, plugins=("xdist",))
    pids = [pid for worker in running.workers for pid in running.pids_of(worker)]
    assert len(set(pids)) == (11 if shared else 10)
    running.process.kill()
    running.process.wait()
    assert left_after(pids, 1.0) == []
    if shared:
        wait_until(lambda: not running.shared_folders(), 5)
        assert running.shared_folders() == []


def test_after_kill_of_one_worker_its_own_are_gone_and_the_shared_one_serves_on(run):
    running = run("-n", "2", "--max-worker-restart=0", workers=2, shared=True, plugins=("xdist",))
    first, second = running.workers
    common = set(running.pids_of(first)) & set(running.pids_of(second))
    assert len(common) == 1
    for worker, other in ((first, second), (second, first)):
        # Either of the two may be the one that started the shared server.
        own = [pid for pid in running.pids_of(worker) if pid not in common]
        if worker == first:
            others = [pid for pid in running.pids_of(other) if pid not in common]
            os.kill(worker, signal.SIGKILL)
            assert left_after(own, 1.0) == []
            assert all(map(is_alive, others))
        assert all(map(is_alive, common))


def test_after_kill_of_a_plain_program(tmp_path: Path):
    code = (
        "import sys, time; from pytest_sockets import ServerProcess; "
        "s = ServerProcess([sys.executable, '-m', 'http.server', '{port}']); print(s.pid, flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    pid = int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()
    assert left_after([pid], 1.0) == []


def test_a_forked_child_that_lives_on_keeps_no_server(tmp_path: Path):
    """It has copies of every descriptor of its dead parent."""
    code = (
        "import os, sys, time; from pytest_sockets import ServerProcess; "
        "s = ServerProcess([sys.executable, '-m', 'http.server', '{port}']); child = os.fork(); "
        "child and print(s.pid, child, flush=True); time.sleep(600)"
    )
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.PIPE, text=True
    )
    pid, child = map(int, process.stdout.readline().split())
    process.kill()
    process.wait()
    process.stdout.close()
    try:
        assert left_after([pid], 1.0) == []
        assert is_alive(child)
    finally:
        os.kill(child, signal.SIGKILL)
