"""Only a thread that could still close a socket makes a leak wait for the grace time."""

from __future__ import annotations

import threading

import pytest

from pytest_sockets.leaks.owner import Owner
from pytest_sockets.leaks.threads import ThreadOwners


@pytest.fixture
def running():
    """`running(module)`: a thread whose code is of that module runs until the test ends."""
    stop = threading.Event()
    threads = []

    def running(module):
        def wait():
            stop.wait(30)

        wait.__module__ = module
        threads.append(threading.Thread(target=wait, daemon=True))
        threads[-1].start()

    yield running
    stop.set()
    for thread in threads:
        thread.join()


@pytest.fixture
def session():
    return Owner("session", "session", "session")


@pytest.mark.parametrize("before", [True, False], ids=["before the session", "in a test"])
@pytest.mark.parametrize(
    ("module", "counts"),
    [
        ("conftest", True),
        ("concurrent.futures.thread", True),
        ("pytest_httpserver.httpserver", True),
        ("pytest_rerunfailures", False),
        ("pytest_timeout", False),
        ("xdist.remote", False),
    ],
)
def test_a_thread_counts_unless_it_is_a_plugins_own(running, session, module, counts, before):
    assert not ThreadOwners(session).any_of_the_suite, "a thread of another test is still there"
    owners = ThreadOwners(session)
    running(module)
    owners.note(session if before else Owner("test", "test_a", "function"))
    assert owners.any_of_the_suite is counts


def test_a_timer_is_whose_function_it_calls(session):
    def expire():
        pass

    expire.__module__ = "pytest_timeout"
    owners = ThreadOwners(session)
    timer = threading.Timer(60, expire)
    timer.start()
    try:
        owners.note(session)
        assert not owners.any_of_the_suite
        timer.function = lambda: None
        assert owners.any_of_the_suite
    finally:
        timer.cancel()
        timer.join()


@pytest.mark.parametrize(("before", "counts"), [(True, False), (False, True)])
def test_a_thread_without_an_object_counts_if_it_is_new(session, before, counts):
    import _thread

    stop, begun, ended = threading.Event(), threading.Event(), threading.Event()

    def wait():
        begun.set()
        stop.wait(30)
        ended.set()

    owners = ThreadOwners(session) if not before else None
    _thread.start_new_thread(wait, ())
    assert begun.wait(10)
    owners = owners or ThreadOwners(session)
    try:
        assert owners.any_of_the_suite is counts
    finally:
        stop.set()
        ended.wait(10)
