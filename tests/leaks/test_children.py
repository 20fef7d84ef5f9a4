"""A child that listens on after its starter's end is a leak of that starter; what it only inherited is not."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_sockets.leaks import attribution, children, watcher
from pytest_sockets.leaks.children import Children
from pytest_sockets.leaks.owner import Owner, Scope
from pytest_sockets.leaks.registry import Registry
from pytest_sockets.waiting import wait_until

LISTEN = """
import socket, time
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
time.sleep(60)
"""
IDLE = "import time; print('ready', flush=True); time.sleep(60)"


@pytest.fixture
def books(places):
    """A ledger that watches children, in a test's call."""
    watch = Children(("tcp", "udp", "unix"))
    ledger = Registry(places, Owner("session", "session", "session"), watch)
    listener = attribution.watch(ledger)
    ledger.begin()
    ledger.current.enter(Scope(Owner("test", "test_one", "function"), "call"))
    yield ledger
    watcher.stop_listening(listener)
    ledger.fds.close()


@pytest.fixture
def started():
    """`started(code)`: a Python process that has printed its first line, and that line."""
    processes = []

    def start(code, **options):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, **options)
        processes.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def listeners(books):
    books.checkpoint()
    books.end(books.current.get().owner)
    return books.children.listeners(books.listed_inodes())


def test_without_a_child_no_list_is_read(books, monkeypatch):
    if children._has_children():
        pytest.skip("this run has children already")
    monkeypatch.setattr(children, "_child_pids", lambda: pytest.fail("the children were listed"))
    books.checkpoint()


def test_a_listening_child_is_its_starters_with_pid_port_and_command(books, started):
    process, port = started(LISTEN)
    (found,) = listeners(books)
    assert (found.child.pid, found.entry.pid) == (process.pid, process.pid)
    assert (found.entry.local.port, found.child.scope.owner) == (int(port), books.current.get().owner)
    assert found.child.call_site.opened_at(books.places).file == "tests/leaks/test_children.py"
    assert "socket.create_server" in found.command


def test_a_child_that_does_not_listen_is_no_finding(books, started):
    started(IDLE)
    assert listeners(books) == []
    assert books.children.any_left


def test_while_its_starter_lives_it_is_no_finding(books, started):
    started(LISTEN)
    books.checkpoint()
    assert books.children.listeners(books.listed_inodes()) == []


def test_a_child_that_has_ended_is_no_finding(books, started):
    process, _ = started(LISTEN)
    books.checkpoint()
    process.kill()
    process.wait()
    assert listeners(books) == []
    # For some seconds a daemon of it might still come to listen; then nobody looks any more.
    assert wait_until(lambda: listeners(books) == [] and not books.children.any_left, 10)


def test_a_child_that_a_list_lacks_is_kept_as_long_as_it_is_ours(books, started, monkeypatch):
    """The kernel hands the children of a thread that ends to another one, while the lists are read one by one."""
    process, port = started(LISTEN)
    monkeypatch.setattr(children, "_child_pids", list)
    (found,) = listeners(books)
    assert (found.child.pid, found.entry.local.port) == (process.pid, int(port))
    process.kill()
    process.wait()
    assert listeners(books) == []


@pytest.mark.skipif(sys.platform != "linux", reason="lists of each thread's children")
def test_a_thread_that_ends_while_its_children_are_listed_spoils_no_list(books, started, monkeypatch):
    process, _ = started(IDLE)
    listdir, given = children.RealOs.listdir, []

    def with_a_dead_thread(path):
        given.append(path)
        return [*listdir(path), "999999999"] if len(given) < 3 else listdir(path)

    monkeypatch.setattr(children.RealOs, "listdir", staticmethod(with_a_dead_thread))
    assert process.pid in children._child_pids()
    assert len(given) == 3


def test_two_starters_keep_their_own(books, started):
    first, _ = started(LISTEN)
    books.checkpoint()
    one = books.current.get().owner
    books.current.enter(Scope(Owner("test", "test_two", "function"), "call"))
    second, _ = started(LISTEN)
    found = {found.child.pid: found.child.scope.owner.name for found in listeners(books)}
    assert found == {second.pid: "test_two"}
    books.end(one)
    found = {found.child.pid: found.child.scope.owner.name for found in books.children.listeners(set())}
    assert found == {first.pid: "test_one", second.pid: "test_two"}


def test_children_from_before_the_run_are_not_the_suites(places, started):
    started(LISTEN)
    watch = Children()
    ledger = Registry(places, Owner("session", "session", "session"), watch)
    ledger.begin()
    ledger.current.enter(Scope(Owner("test", "test_one", "function"), "call"))
    assert listeners(ledger) == []


def test_an_inherited_listener_is_the_parents_not_the_childs(books, started):
    with socket.create_server(("127.0.0.1", 0)) as server:
        started(IDLE, pass_fds=[server.fileno()])
        assert listeners(books) == []


def test_one_that_the_parent_has_closed_since_is_the_childs(books, started):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        started(IDLE, pass_fds=[server.fileno()])
    assert [found.entry.local.port for found in listeners(books)] == [port]


def test_a_reported_listener_is_not_returned_again(books, started):
    started(LISTEN)
    (found,) = listeners(books)
    books.children.mark_reported(found)
    assert books.children.listeners(books.listed_inodes()) == []


def test_a_grandchild_counts_for_the_child_that_was_started(books, started):
    code = f"import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', {LISTEN!r}]); time.sleep(60)"
    process, port = started(code)
    (found,) = listeners(books)
    try:
        assert (found.child.pid, found.entry.local.port) == (process.pid, int(port))
        assert found.entry.pid != process.pid
    finally:
        os.kill(found.entry.pid, signal.SIGKILL)


def serve(connection):
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection.send(server.getsockname()[1])
        time.sleep(60)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_every_start_method_of_multiprocessing_is_seen(books, method):
    context = multiprocessing.get_context(method)
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    try:
        port = ours.recv()
        found = listeners(books)
        assert [one.entry.local.port for one in found] == [port]
        assert found[0].entry.pid == process.pid
    finally:
        process.kill()
        process.join()
        ours.close()
        theirs.close()


def test_os_fork_is_seen(books):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            with socket.create_server(("127.0.0.1", 0)) as server:
                os.write(writer, str(server.getsockname()[1]).encode())
                time.sleep(60)
        finally:
            os._exit(0)
    try:
        port = int(os.read(reader, 10))
        assert [found.entry.local.port for found in listeners(books)] == [port]
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reader)
        os.close(writer)


def test_an_exit_status_is_left_for_the_suite(books, started):
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"])
    deadline = time.monotonic() + 20
    status = Path(f"/proc/{process.pid}/stat")
    while time.monotonic() < deadline and status.read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    books.checkpoint()
    assert process.wait() == 7


class _Popen:
    """A Popen object as it is while another thread is between fork(2) and the assignment of the pid."""

    def __init__(self, pid):
        self.pid = pid


@pytest.mark.parametrize(
    ("pid", "starter"), [(None, "thread"), (1, "multiprocessing")], ids=["not yet", "another one"]
)
def test_a_child_whose_popen_does_not_know_its_pid_yet_is_not_an_older_starts(places, pid, starter):
    watch = Children()
    watch.begin()
    older, newer = (Scope(Owner("test", name, "function"), "call") for name in ("multiprocessing", "thread"))
    popen = _Popen(pid)
    watch.starting(older, None, (), None)
    watch.starting(newer, None, (), popen)
    child = os.posix_spawn(sys.executable, [sys.executable, "-c", "input()"], os.environ)
    try:
        watch.checkpoint(Scope(Owner("test", "later", "function"), "call"))
        assert [one.scope.owner.name for one in watch._known.values() if one.pid == child] == [starter]
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
