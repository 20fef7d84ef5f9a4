"""Sockets, threads and children are reported with the line that opens or starts them, and nothing stays changed."""

from __future__ import annotations

import gc
import inspect
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref

import pytest

from pytest_sockets.leaks import code_events, watcher
from pytest_sockets.real_socket import RealSocket

MONITORING = getattr(sys, "monitoring", None)


class Notes(watcher.Listener):
    """What was reported, with the function of this file that did it."""

    def __init__(self):
        self.seen = []
        self.errors = []

    def note(self, event, frame, *facts):
        while frame is not None and frame.f_code.co_filename != __file__:
            frame = frame.f_back
        self.seen.append((event, *facts, frame and frame.f_code.co_name))

    def socket_opened(self, sock, frame, given):
        self.note("socket", frame, sock.fileno())

    def socket_detached(self, sock, fd):
        self.seen.append(("detached", fd))

    def thread_starting(self, thread, frame):
        self.note("thread", frame, threading.current_thread(), thread)

    def child_starting(self, starter, frame, command):
        self.note("child", frame, type(starter).__name__, command)

    def failed(self, event, error):
        self.errors.append((event, error))


@pytest.fixture(params=["code events", "stand-ins"])
def way(request, monkeypatch):
    """The events of `sys.monitoring`, where there are any, and the other code objects."""
    if request.param == "stand-ins":
        monkeypatch.setattr(code_events._Monitoring, "start", classmethod(lambda *_: None))
    elif MONITORING is None:
        pytest.skip("sys.monitoring came with Python 3.12")
    before = watcher._listeners
    for listener in before:
        watcher.stop_listening(listener)
    yield request.param
    for listener in watcher._listeners:
        watcher.stop_listening(listener)
    monkeypatch.undo()
    for listener in before:
        watcher.listen(listener)


@pytest.fixture
def notes(way):
    notes = Notes()
    watcher.listen(notes)
    return notes


def test_a_socket_is_reported_with_its_descriptor_and_line(notes):
    with socket.socket() as sock:
        name = inspect.currentframe().f_code.co_name
        assert notes.seen == [("socket", sock.fileno(), name)]


def test_so_are_accepted_ones_pairs_and_duplicates(notes):
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
        left, right = socket.socketpair()
        again = left.dup()
        opened = [server, client, accepted, left, right, again]
        assert [fact[1] for fact in notes.seen] == [sock.fileno() for sock in opened]
        for sock in opened:
            sock.close()


def test_a_detached_descriptor_is_reported(notes):
    fd = socket.socket().detach()
    os.close(fd)
    assert notes.seen[1:] == [("detached", fd)]


def test_a_socket_that_cannot_be_opened_is_not(notes):
    with pytest.raises(OSError):
        socket.socket(family=4711)
    assert notes.seen == []


def test_the_plugins_own_are_not(notes):
    RealSocket().close()
    assert notes.seen == []


def start(target=lambda: None):
    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    return thread


def test_each_thread_is_reported_with_its_starter_and_line(notes):
    inner = []
    outer = start(lambda: inner.append(start()))
    main = threading.current_thread()
    assert notes.seen == [("thread", main, outer, "start"), ("thread", outer, inner[0], "start")]


def test_a_timer_is_a_thread(notes):
    timer = threading.Timer(0, lambda: None)
    timer.start()
    timer.join()
    assert [fact[2] for fact in notes.seen] == [timer]


def test_a_child_is_reported_with_its_command(notes):
    name = inspect.currentframe().f_code.co_name
    command = [sys.executable, "-S", "-c", ""]
    subprocess.run(command, check=True)
    assert notes.seen == [("child", "Popen", command, name)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_fork_is_reported(notes):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert notes.seen == [("child", "NoneType", (), inspect.currentframe().f_code.co_name)]


def test_nothing_is_reported_after_the_end(notes):
    watcher.stop_listening(notes)
    socket.socket().close()
    start()
    assert notes.seen == []


def test_users_see_the_same_functions(way):
    functions = (
        socket.socket.__init__,
        socket.socket.detach,
        threading.Thread.start,
        subprocess.Popen.__init__,
    )
    seen = [
        (id(function), inspect.signature(function), inspect.getsource(function), function.__qualname__)
        for function in functions
    ]
    codes = [function.__code__ for function in functions]
    notes = Notes()
    watcher.listen(notes)
    again = (socket.socket.__init__, socket.socket.detach, threading.Thread.start, subprocess.Popen.__init__)
    assert seen == [
        (id(function), inspect.signature(function), inspect.getsource(function), function.__qualname__)
        for function in again
    ]
    with pytest.raises(OSError) as info:
        socket.socket(family=4711)
    assert not [entry for entry in info.traceback if "pytest_sockets" in str(entry.path)]
    watcher.stop_listening(notes)
    assert [function.__code__ for function in functions] == codes


def test_an_error_of_a_listener_is_recorded_and_the_socket_is_opened(notes):
    error = ValueError("of the plugin")

    def broken(*_, **__):
        raise error

    notes.socket_opened = broken
    socket.socket().close()
    assert notes.errors == [("socket opened", error)]


def test_an_error_of_one_listener_hides_nothing_from_the_others(notes):
    class Broken(Notes):
        def note(self, event, *_):
            raise ValueError(event)

    broken, after = Broken(), Notes()
    watcher.listen(broken)
    watcher.listen(after)
    socket.socket().close()
    start()
    assert [str(error) for _, error in broken.errors] == ["socket", "thread"]
    for other in (notes, after):
        assert [event for event, *_ in other.seen] == ["socket", "thread"]
        assert other.errors == []


def test_ctrl_c_that_lands_in_a_listener_reaches_the_caller(notes):
    def interrupted(*_):
        raise KeyboardInterrupt

    notes.thread_starting = interrupted
    with pytest.raises(KeyboardInterrupt):
        start()
    assert notes.errors == []


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # the sockets that nobody got are dropped
def test_each_alarm_that_lands_in_a_listener_is_raised_once(notes):
    def late(*_):
        raise TimeoutError("late")

    def spends_time(*_, **__):
        end = time.monotonic() + 0.01
        while time.monotonic() < end:
            pass

    notes.socket_opened = spends_time
    before = signal.signal(signal.SIGALRM, late)
    try:
        for _ in range(20):
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            end = time.monotonic() + 10
            with pytest.raises(TimeoutError):  # noqa: PT012
                while time.monotonic() < end:
                    socket.socket().close()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    gc.collect()  # the sockets that nobody got are dropped here at the latest
    assert notes.errors == []


def test_an_exception_from_outside_is_in_no_cycle_which_would_keep_sockets_open(notes):
    class Late(KeyboardInterrupt):
        pass

    def interrupted():
        try:
            socket.socket()
        except Late as error:
            return weakref.ref(error)

    def late(*_):
        raise Late

    notes.socket_opened = late
    gc.disable()
    try:
        with pytest.warns(ResourceWarning):  # nobody has got the socket
            assert interrupted()() is None
    finally:
        gc.enable()


@pytest.mark.skipif(MONITORING is None, reason="sys.monitoring came with Python 3.12")
class TestToolIds:
    @pytest.fixture(autouse=True)
    def restored(self, way):
        if way == "stand-ins":
            pytest.skip("they need no tool id")
        taken = []
        yield taken
        for tool in taken:
            MONITORING.free_tool_id(tool)

    def own(self):
        return [tool for tool in range(6) if MONITORING.get_tool(tool) == "pytest-sockets"]

    def test_a_suite_gets_the_id_that_it_asks_for_and_sockets_are_still_seen(self, restored):
        notes = Notes()
        watcher.listen(notes)
        for asked in range(1, 4):
            (tool,) = self.own()
            MONITORING.use_tool_id(tool, "the suite's")
            restored.append(tool)
            assert MONITORING.get_tool(tool) == "the suite's"
            socket.socket().close()
            assert len(notes.seen) == asked
        assert self.own() == []  # stand-ins by now

    def test_an_id_that_another_tool_has_is_refused_as_ever(self, restored):
        watcher.listen(Notes())
        MONITORING.use_tool_id(3, "one")
        restored.append(3)
        with pytest.raises(ValueError, match="tool 3 is already in use"):
            MONITORING.use_tool_id(3, "two")

    def test_a_suite_that_frees_the_id_breaks_nothing(self):
        notes = Notes()
        watcher.listen(notes)
        (tool,) = self.own()
        MONITORING.free_tool_id(tool)
        socket.socket().close()
        watcher.stop_listening(notes)
        assert self.own() == []

    def test_afterwards_the_id_and_the_function_are_given_back(self):
        real = MONITORING.use_tool_id
        notes = Notes()
        watcher.listen(notes)
        assert MONITORING.use_tool_id is not real
        watcher.stop_listening(notes)
        assert (self.own(), MONITORING.use_tool_id) == ([], real)
