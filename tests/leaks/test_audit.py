"""The births of threads are told on every interpreter, and nothing stays replaced when nobody listens."""

from __future__ import annotations

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


def test_a_broken_listener_starts_the_thread_all_the_same():
    class Broken:
        def thread_started(self, thread, frame):
            raise KeyboardInterrupt

    listener = Broken()
    audit.listen(listener)
    try:
        ran = []
        start(lambda: ran.append(1))
        assert ran == [1]
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
