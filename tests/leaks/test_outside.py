"""An exception from a signal or another thread reaches the user's code; an error of this plugin does not."""

from __future__ import annotations

import signal

import pytest

from pytest_sockets.leaks.outside import alarm_paused, comes_from_outside


def caught(function, *arguments):
    with pytest.raises(BaseException) as info:
        function(*arguments)
    return info.value


def interrupted(handler):
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        return caught(signal.raise_signal, signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)


def named(signum, frame):
    raise TimeoutError("late")


def anonymous(*_):
    raise TimeoutError("late")


@pytest.mark.parametrize("handler", [named, anonymous])
def test_a_signal_handlers_exception_comes_from_outside(handler):
    assert comes_from_outside(interrupted(handler))


def test_the_same_exception_raised_by_a_call_does_not():
    assert not comes_from_outside(caught(named, 1, None))


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, pytest.exit.Exception])
def test_the_end_of_the_run_always_does(kind):
    assert comes_from_outside(kind("now"))


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")
def test_a_paused_alarm_goes_on_afterwards():
    before = signal.signal(signal.SIGALRM, named)
    try:
        signal.setitimer(signal.ITIMER_REAL, 100, 7)
        with alarm_paused():
            assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        remaining, interval = signal.getitimer(signal.ITIMER_REAL)
        assert 90 < remaining <= 100
        assert interval == pytest.approx(7)
        signal.setitimer(signal.ITIMER_REAL, 0)
        with alarm_paused():
            pass
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")
def test_the_clock_stands_still_also_while_the_end_of_the_session_is_judged(suite):
    """A hook that is asked about each finding sees no running clock; afterwards it runs on."""
    suite.write(
        conftest="""
            import signal, socket
            def pytest_sessionstart(session):
                session.server = socket.create_server(("127.0.0.1", 0))
                signal.setitimer(signal.ITIMER_REAL, 100)
            def pytest_sockets_finding(finding):
                print("during:", signal.getitimer(signal.ITIMER_REAL)[0])
            def pytest_unconfigure():
                print("after:", round(signal.setitimer(signal.ITIMER_REAL, 0)[0], -2))
        """,
        test_a="def test_one(): pass",
    )
    done = suite.run("-s")
    assert len(done.leaks) == 1
    assert "during: 0.0" in done.text
    assert "after: 100.0" in done.text


LATE = """
    import signal, socket, time
    import pytest

    def late(*_):
        raise TimeoutError("late")

    @pytest.mark.parametrize("n", range(15))
    def test_alarm(n):
        before = signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        end = time.monotonic() + 20
        with pytest.raises(TimeoutError):
            while time.monotonic() < end:
                socket.socket().close()
        signal.signal(signal.SIGALRM, before)

    def test_next():
        pass
"""


def test_an_alarm_that_lands_in_the_plugin_reaches_the_test(suite):
    """With the exception swallowed, about one alarm in three was lost."""
    done = suite.write(test_a=LATE).run("--sockets-leaks=error")
    assert done.outcomes == {"passed": 16}, done.text
    assert done.exit_code == 0


def test_a_timeout_ends_a_test_that_opens_sockets_for_ever(suite):
    pytest.importorskip("pytest_timeout")
    suite.write(
        test_a="""
            import socket
            def test_loop():
                while True:
                    socket.socket().close()
            def test_next():
                pass
        """
    )
    done = suite.run("--timeout=0.5", plugins=("pytest_timeout",), timeout=30)
    assert done.outcomes == {"failed": 1, "passed": 1}, done.text
    assert "Timeout (>0.5s)" in done.text
    assert "pytest_sockets/leaks" not in done.text


def test_the_grace_time_does_not_count_against_a_timeout(suite):
    pytest.importorskip("pytest_timeout")
    suite.write(
        test_a="""
            import socket, threading, time
            def test_leak():
                threading.Thread(target=time.sleep, args=(3,), daemon=True).start()
                global s
                s = socket.create_server(("127.0.0.1", 0))
            def test_next():
                pass
        """
    )
    done = suite.run("--timeout=1", "--sockets-grace=1.5", plugins=("pytest_timeout",))
    assert done.outcomes == {"passed": 2}, done.text
    assert done.owners == ["test_leak"]


def test_a_suites_audit_hook_that_forbids_file_access_is_no_obstacle(suite):
    suite.write(
        test_a="""
            import os, socket, sys
            import pytest
            on, L = False, []
            def hook(event, args):
                if on and event in ("open", "os.listdir"):
                    pytest.fail("no file access in unit tests: " + event)
            sys.addaudithook(hook)
            @pytest.fixture(autouse=True)
            def guard():
                global on
                on = True
                yield
                on = False
            @pytest.fixture
            def fx(guard):
                with socket.socket() as s:
                    yield s
            def test_a(fx):
                L.append(socket.socket())
            def test_b(fx):
                pass
        """
    )
    done = suite.run()
    assert done.outcomes == {"passed": 2}, done.text
    assert done.owners == ["test_a"]
