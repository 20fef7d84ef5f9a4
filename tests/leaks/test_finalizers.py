"""Who watches finalizers must not be seen: same warning, same place, same filters, and all put back."""

from __future__ import annotations

import asyncio.selector_events
import asyncio.streams
import gc
import os
import re
import signal
import socket
import subprocess
import sys
import warnings

import pytest

from pytest_sockets.leaks.finalizers import FinalizerWatch

DROP = """
import socket, sys, warnings
if {watched}:
    from pytest_sockets.leaks.finalizers import FinalizerWatch
    seen = []
    FinalizerWatch(lambda sock: seen.append(sock.fileno())).start()
def drop():
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    drop()
(warning,) = caught
print(warning.filename.rpartition("/")[2], warning.lineno, warning.category.__name__, str(warning.message)[:26])
with warnings.catch_warnings(record=True) as caught:
    warnings.filterwarnings("ignore", category=ResourceWarning, module="__main__")
    warnings.filterwarnings("always", category=ResourceWarning, module="somewhere_else")
    drop()
print("filtered by module:", not caught)
"""


@pytest.fixture
def watch():
    """`watch.seen`: what was finalized while open, as (fd, status of the object)."""
    if "__del__" in vars(socket.socket):
        pytest.skip("the run itself watches finalizers")
    seen = []
    watch = FinalizerWatch(lambda sock: seen.append(sock.fileno()))
    watch.seen = seen
    watch.start()
    yield watch
    watch.stop()


def drop():
    sock = socket.socket()
    return sock.fileno()


def test_a_socket_that_is_dropped_open_is_told_while_it_still_has_its_descriptor(watch):
    with pytest.warns(ResourceWarning):
        fd = drop()
    assert watch.seen == [fd]


def test_a_closed_or_detached_one_is_not(watch):
    socket.socket().close()
    sock = socket.socket()
    fd = sock.detach()
    del sock
    os.close(fd)
    assert watch.seen == []


def test_a_cycle_is_told_when_it_is_collected(watch):
    cycle = [socket.socket()]
    cycle.append(cycle)
    del cycle
    with pytest.warns(ResourceWarning):
        gc.collect()
    assert len(watch.seen) == 1


def test_a_subclass_with_a_finalizer_of_its_own_keeps_it(watch):
    called = []

    class Mine(socket.socket):
        def __del__(self):
            called.append(self.fileno() >= 0)
            self.close()

    Mine()
    assert called == [True]
    assert watch.seen == []


def test_the_warning_keeps_its_place_and_its_module(suite):
    """The interpreter runs `__del__` without a frame of ours."""
    told = []
    for watched in (True, False):
        suite.write(script=DROP.format(watched=watched))
        done = subprocess.run(
            [sys.executable, "script.py"],
            cwd=suite.folder,
            env=suite.environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        place, filtered = done.stdout.splitlines()
        told.append((re.sub(r" \d+ ", " LINE ", place), filtered))
    assert told[0] == told[1]
    assert told[0] == (
        "script.py LINE ResourceWarning unclosed <socket.socket fd",
        "filtered by module: True",
    )


def test_stopping_puts_every_class_back():
    if "__del__" in vars(socket.socket):
        pytest.skip("the run itself watches finalizers")
    asyncio_transport = asyncio.selector_events._SelectorTransport
    before = vars(socket.socket).get("__del__"), vars(asyncio_transport).get("__del__")
    watch = FinalizerWatch(lambda sock: None)
    watch.start()
    assert "__del__" in vars(socket.socket)
    watch.stop()
    assert (vars(socket.socket).get("__del__"), vars(asyncio_transport).get("__del__")) == before
    watch.stop()


def test_a_class_that_is_imported_later_is_found(watch):
    watch._waiting.append(("asyncio.streams", "StreamWriter", lambda writer: ()))
    watch.look_again()
    assert all(entry[0] != "asyncio.streams" for entry in watch._waiting)


def test_a_second_watch_leaves_the_first_in_place(watch):
    patched = vars(socket.socket)["__del__"]
    second = FinalizerWatch(lambda sock: None)
    second.start()
    second.stop()
    assert vars(socket.socket)["__del__"] is patched


def test_an_error_in_the_listener_does_not_reach_the_interpreter():
    if "__del__" in vars(socket.socket):
        pytest.skip("the run itself watches finalizers")

    def broken(sock):
        raise RuntimeError("ours")

    watch = FinalizerWatch(broken)
    watch.start()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            drop()
        assert [warning.category for warning in caught] == [ResourceWarning]
    finally:
        watch.stop()


class Interrupt(BaseException):
    """What a timeout raises."""


@pytest.mark.parametrize(
    "error",
    [Interrupt("after 5 s"), KeyboardInterrupt(), TimeoutError("5 s")],
    ids=lambda error: type(error).__name__,
)
def test_what_a_signal_handler_raises_meanwhile_reaches_the_code_that_dropped_the_socket(error):
    if "__del__" in vars(socket.socket):
        pytest.skip("the run itself watches finalizers")
    raised = []

    def handler(number, frame):
        raised.append(number)
        raise error

    def interrupted(sock):
        signal.raise_signal(signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handler)
    watch = FinalizerWatch(interrupted)
    watch.start()
    try:
        with pytest.warns(ResourceWarning), pytest.raises(type(error)) as caught:  # noqa: PT012, PT031
            drop()
            for _ in range(2):  # the interpreter looks for such exceptions at each turn of a loop
                pass
        assert caught.value is error
        assert all("pytest_sockets" not in str(entry.path) for entry in caught.traceback)
        assert len(raised) == 1
    finally:
        watch.stop()
        signal.signal(signal.SIGUSR1, before)


def test_a_transport_that_is_dropped_is_told_with_the_users_line(suite):
    suite.write(
        test_a="""
        import asyncio
        import gc
        import socket
        async def connect(port):
            await asyncio.open_connection("127.0.0.1", port)
        def test_one():
            with socket.create_server(("127.0.0.1", 0)) as listener:
                asyncio.run(connect(listener.getsockname()[1]))
                gc.collect()
        """
    )
    done = suite.run("--sockets-unclosed=warn", "-W", "ignore")
    assert [(leak["kind"], leak["owner"]["name"]) for leak in done.leaks] == [
        ("unclosed", "test_a.py::test_one")
    ]
    assert done.places[0] in ("test_a.py:6", "test_a.py:9")
