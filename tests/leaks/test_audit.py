"""What the hook tells on every interpreter, from the first socket on; nothing stays replaced when nobody listens."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
import threading

import pytest

from pytest_sockets.leaks import audit


class Births:
    """A listener for threads."""

    def __init__(self):
        self.threads = []
        self.frames = []

    def thread_started(self, thread, frame):
        self.threads.append((threading.current_thread(), thread))
        self.frames.append(frame)


@pytest.fixture
def listener():
    listener = Births()
    audit.listen(listener)
    yield listener
    audit.stop_listening(listener)


@pytest.fixture
def births(listener):
    return listener.threads


def start(target=lambda: None):
    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    return thread


def test_each_thread_is_told_with_its_starter(births):
    inner = []
    outer = start(lambda: inner.append(start()))
    assert births == [(threading.current_thread(), outer), (outer, inner[0])]


def test_the_frame_leads_to_the_line_that_started_it(listener):
    start()
    frame = listener.frames.pop()
    while frame is not None and frame.f_code is not start.__code__:
        frame = frame.f_back
    assert frame is not None


def test_a_timer_is_told(births):
    timer = threading.Timer(0, lambda: None)
    timer.start()
    timer.join()
    assert [thread for _, thread in births] == [timer]


def test_after_the_end_nothing_is_told():
    listener = Births()
    audit.listen(listener)
    audit.stop_listening(listener)
    start()
    assert listener.threads == []


class Broken:
    def __init__(self, error):
        self.error = error
        self.recorded = []

    def thread_started(self, thread, frame):
        raise self.error

    def failed(self, event, error):
        self.recorded.append(error)


def test_an_error_of_a_listener_is_recorded_and_the_thread_starts():
    listener = Broken(ValueError("of the plugin"))
    audit.listen(listener)
    try:
        ran = []
        start(lambda: ran.append(1))
        assert ran == [1]
        assert listener.recorded == [listener.error]
    finally:
        audit.stop_listening(listener)


def test_ctrl_c_that_lands_in_a_listener_reaches_the_caller():
    listener = Broken(KeyboardInterrupt())
    audit.listen(listener)
    try:
        with pytest.raises(KeyboardInterrupt):
            start(lambda: None)
        assert listener.recorded == []
    finally:
        audit.stop_listening(listener)


class TestStandIn:
    """What replaces the function that Thread.start() calls where no event tells of it."""

    @pytest.fixture(autouse=True)
    def real(self, monkeypatch):
        real = lambda function, *args: ("started", function, args)  # noqa: E731
        monkeypatch.setattr(threading, "_start_new_thread", real, raising=False)
        return real

    def test_it_calls_the_real_one_and_goes(self, real):
        stand_in = audit._ThreadStart()
        stand_in.put()
        assert threading._start_new_thread("function", ()) == ("started", "function", ((),))
        stand_in.take_away()
        assert threading._start_new_thread is real

    def test_it_does_not_undo_what_replaced_it(self):
        stand_in = audit._ThreadStart()
        stand_in.put()
        threading._start_new_thread = other = object()
        stand_in.take_away()
        assert threading._start_new_thread is other

    def test_whoever_has_wrapped_it_is_not_called_in_a_circle(self):
        stand_in = audit._ThreadStart()
        stand_in.put()
        wrapped = threading._start_new_thread
        threading._start_new_thread = lambda *args: wrapped(*args)
        stand_in.take_away()
        stand_in.put()
        assert threading._start_new_thread("function", ())[0] == "started"


HEARS = """
    import _socket, os, socket, subprocess, sys, threading
    from pytest_sockets.leaks import audit

    class Listener:
        told = []
        def socket_created(self, sock, family, kind, frame): self.note("socket", frame)
        def socket_used(self, sock, address): pass
        def child_started(self, frame, words): self.note("child", frame)
        def thread_started(self, thread, frame): self.note("thread", frame)
        def note(self, what, frame):
            while frame.f_code.co_filename != __file__:
                frame = frame.f_back
            self.told.append((what, frame.f_code.co_name))

    def opens():
        {does}

    {before}
    audit.listen(Listener(), from_the_first=True)
    waited = not audit._installed
    opens()
    print(waited, Listener.told)
"""
WAITS = sys.version_info >= (3, 12)
MAKERS = {
    "socket.socket().close()": "socket",
    "socket.socketpair()": "socket",
    "threading.Thread(target=int).start()": "thread",
    "subprocess.run([sys.executable, '-S', '-c', ''])": "child",
    "os.fork() or os._exit(0)": "child",
}


def hear(tmp_path, does, before="pass"):
    """What a new interpreter's first maker tells; whether the hook waited for it."""
    script = tmp_path / "hears.py"
    script.write_text(textwrap.dedent(HEARS).format(does=does, before=before))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    waited, _, told = done.stdout.rstrip("\n").rpartition("\n")[2].partition(" ")
    return waited == "True", ast.literal_eval(told)


class TestDoorbell:
    """Until the first socket, thread or child is made there is no hook, and that one is told with its line."""

    @pytest.mark.parametrize("does", MAKERS)
    def test_the_first_one_is_told(self, tmp_path, does):
        waited, told = hear(tmp_path, does)
        assert waited is WAITS
        assert told[0] == (MAKERS[does], "opens")

    @pytest.mark.skipif(not WAITS, reason="the hook is there from the start")
    def test_the_twin_a_socket_of_c_code_alone_rings_no_bell(self, tmp_path):
        assert hear(tmp_path, "_socket.socket()") == (True, [])

    def test_all_is_heard_when_tests_run(self, tmp_path):
        _, told = hear(tmp_path, "audit.hear_all(); _socket.socket()")
        assert told == [("socket", "opens")]

    def test_the_hook_does_not_wait_where_it_could_not_be_called(self, tmp_path):
        taken = "for tool in (5,): sys.monitoring.use_tool_id(tool, 'other')" if WAITS else "pass"
        assert hear(tmp_path, "_socket.socket()", taken) == (False, [("socket", "opens")])
        gevent = "sys.modules['gevent'] = None"
        assert hear(tmp_path, "_socket.socket()", gevent) == (False, [("socket", "opens")])
        in_c = "subprocess.Popen.__init__ = print"
        assert hear(tmp_path, "_socket.socket()", in_c) == (False, [("socket", "opens")])

    def test_a_system_without_fork_has_no_hook_for_it(self, tmp_path):
        waited, told = hear(tmp_path, "socket.socket().close()", "del os.register_at_fork")
        assert (waited, told) == (WAITS, [("socket", "opens")])

    @pytest.mark.skipif(not WAITS, reason="no sys.monitoring")
    def test_the_tools_number_is_given_back(self, tmp_path):
        free = "assert [sys.monitoring.get_tool(tool) for tool in (5,)] == [None]"
        hear(tmp_path, f"audit.hear_all(); {free}")
        hear(tmp_path, f"audit.stop_listening(audit._listeners[0]); {free}")
        with pytest.raises(AssertionError):
            hear(tmp_path, free)
