"""A daemon has left the tree of processes; it belongs to the command that brought it, whatever was started afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from pytest_sockets.leaks import detached_processes
from pytest_sockets.leaks.call_site import capture
from pytest_sockets.leaks.detached_processes import DetachedProcesses, Start
from pytest_sockets.leaks.owner import Owner, Scope
from pytest_sockets.originals import monotonic
from pytest_sockets.table import sock_diag
from pytest_sockets.waiting import wait_until

DAEMON = """
import os, socket, sys, time
if os.fork() or os.fork():
    os._exit(0)
os.setsid()
server = socket.create_server(("127.0.0.1", 0))
with open(sys.argv[1], "w") as file:
    print(os.getpid(), file=file)
time.sleep(20)
"""


@pytest.fixture
def scope():
    return Scope(Owner("test", "test_one", "function"), "call")


@pytest.fixture
def starting(scope, places):
    """`starting(words)` tells the books of daemons that this line starts a process with these words."""
    books = DetachedProcesses()

    def start(*words):
        books.starting(Start(monotonic(), scope, capture(sys._getframe(1), places), words))

    start.books = books
    return start


@pytest.fixture
def daemonize(tmp_path):
    """`daemonize(starting)`: the pid of a daemon that listens, whose start was told."""
    path = tmp_path / "pid"
    command = [sys.executable, "-S", "-c", DAEMON, str(path)]

    def run(starting):
        starting(*command)
        subprocess.run(command, check=True)
        assert wait_until(lambda: path.exists() and path.read_text().endswith("\n"), 20)
        return int(path.read_text())

    yield run
    os.kill(int(path.read_text()), signal.SIGKILL)


def found(starting, scope):
    scope.owner.end()
    return [(daemon.pid, daemon.start.words[:1]) for daemon in starting.books.find(set(), set())]


def test_a_daemon_is_its_commands_though_others_were_started_before_and_since(starting, scope, daemonize):
    starting("first", "/other")
    pid = daemonize(starting)
    starting("redis-cli", "ping")
    assert found(starting, scope) == [(pid, (sys.executable,))]


def test_a_daemon_is_not_that_of_a_command_that_came_later(starting, scope, tmp_path, daemonize):
    pid = daemonize(lambda *words: None)  # nobody was told
    assert wait_until(lambda: detached_processes.birth_of(pid).at + detached_processes.TICK < monotonic(), 5)
    starting(sys.executable, str(tmp_path / "pid"))
    assert found(starting, scope) == []


def test_one_whose_title_tells_nothing_is_the_last_starts_before_it(starting, scope, daemonize):
    starting("first")
    starting("second")
    pid = daemonize(lambda *words: None)
    assert wait_until(lambda: detached_processes.birth_of(pid).at + detached_processes.TICK < monotonic(), 5)
    starting.books._before = set()  # as if looked at before it listened
    starting("third")
    assert found(starting, scope) == [(pid, ("second",))]


def test_while_its_owner_lives_it_is_not_told(starting, scope, daemonize):
    daemonize(starting)
    assert starting.books.find(set(), set()) == []
    assert not starting.books.any_left


def test_ten_thousand_commands_leave_the_daemons_start_in_bounded_books(starting, scope, daemonize):
    pid = daemonize(starting)
    for number in range(10_000):
        starting("true", str(number))
    (starts,) = starting.books._starts.values()
    assert len(starts) <= detached_processes._MOST_STARTS
    assert [start.words for start in starts[-2:]] == [("true", "9998"), ("true", "9999")]
    assert found(starting, scope) == [(pid, (sys.executable,))]


def test_a_client_that_names_the_port_is_not_the_server(scope, places):
    call_site = capture(sys._getframe(), places)
    server = Start(1.0, scope, call_site, ("python", "-m", "server", "/run/port"))
    client = Start(2.0, scope, call_site, ("python", "-m", "client", "4001"))
    title = "python -m server /run/port"
    assert [start.is_of(title, 4001) for start in (server, client)] == [True, True]
    assert [start.is_exactly(title) for start in (server, client)] == [True, False]


def test_without_a_list_of_listeners_no_daemon_is_found_and_nothing_fails(
    starting, scope, daemonize, monkeypatch
):
    """A kernel without sock_diag: a walk of all processes after each test would be too slow."""

    def missing():
        raise sock_diag.SockDiagMissing

    monkeypatch.setattr(sock_diag, "tcp_listening", missing)
    daemonize(starting)
    assert found(starting, scope) == []
