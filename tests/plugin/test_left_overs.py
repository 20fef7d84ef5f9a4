"""A server that a killed run leaves is listed as left over and named by the next run that needs its port."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pytest_sockets.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="environments are read from /proc")

RUN = """
import pathlib, subprocess, sys, time

SERVER = '''
import os, socket, sys, time
s = socket.create_server(("127.0.0.1", 0))
open(sys.argv[1] + ".new", "w").write(f"{os.getpid()} {s.getsockname()[1]}")
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(60)
'''

def test_starts_a_server():
    command = [sys.executable, "-c", SERVER, "started"]
    subprocess.Popen(COMMAND)
    time.sleep(60)
"""
DIRECTLY = "command"
BY_A_SHELL = '["sh", "-c", \'"$@" & wait\', "sh", *command]'
IN_A_SESSION = "command, start_new_session=True"


class Server(NamedTuple):
    pid: int
    port: int
    run: subprocess.Popen[bytes]


@contextlib.contextmanager
def started(suite, how: str) -> Iterator[Server]:
    """A server that a test started; the run sleeps."""
    suite.write(test_run=RUN.replace("COMMAND", how))
    path = suite.folder / "started"
    run = subprocess.Popen(
        suite.command("test_run.py"),
        cwd=suite.folder,
        env=suite.environment(),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert wait_until(path.exists, 30)
        pid, port = map(int, path.read_text().split())
        try:
            yield Server(pid, port, run)
        finally:
            os.kill(pid, signal.SIGKILL)
    finally:
        run.kill()
        run.wait()


@pytest.mark.parametrize("how", [DIRECTLY, BY_A_SHELL, IN_A_SESSION])
def test_a_server_of_a_killed_run_is_listed_with_its_test_and_start_time(suite, how: str):
    day = time.strftime("%Y-%m-%d")
    with started(suite, how) as server:
        server.run.kill()
        server.run.wait()
        text = suite.run("--sockets-table=left", report=False, environment={"COLUMNS": "400"}).text
    (line,) = [line for line in text.splitlines() if line.startswith(f"{server.pid} ")]
    assert "test_run.py::test_starts_a_server " in line
    assert f"tcp 127.0.0.1:{server.port}" in line
    assert day in line or time.strftime("%Y-%m-%d") in line
    assert "left over from runs that were interrupted or killed" in text
    (end,) = [line for line in text.splitlines() if line.startswith("end ")]
    assert str(server.pid) in end.split()


def test_the_twin_a_server_of_a_running_test_is_not_listed(suite):
    with started(suite, BY_A_SHELL) as server:
        text = suite.run("--sockets-table=left", report=False, environment={"COLUMNS": "400"}).text
        assert f"{server.pid} " not in text


BIND = "import socket\ndef test_needs_it():\n    socket.create_server(('127.0.0.1', %d))\n"


def test_the_next_run_that_needs_the_port_says_that_the_server_is_left_over(suite):
    with started(suite, DIRECTLY) as server:
        server.run.kill()
        server.run.wait()
        suite.write(test_bind=BIND % server.port)
        text = suite.run("test_bind.py", report=False).text
    assert "started by test_run.py::test_starts_a_server" in text
    assert f"It is left over from a run that was interrupted or killed: end it (kill {server.pid})." in text


def test_the_twin_while_the_run_lasts_it_is_another_run(suite):
    with started(suite, DIRECTLY) as server:
        suite.write(test_bind=BIND % server.port)
        text = suite.run("test_bind.py", report=False).text
    assert "started by test_run.py::test_starts_a_server" in text
    assert "A test of another run started it" in text
