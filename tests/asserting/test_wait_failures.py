"""Each wait and its async twin fails at its deadline, asks for the given address only, and says exactly what is there."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING

import pytest
import trio

from pytest_sockets.asserting import ownership, waits
from pytest_sockets.errors import ProcessDied, WaitTimeout

if TYPE_CHECKING:
    from collections.abc import Iterator

WAITS = ("wait_listening", "wait_not_listening", "wait_no_connections")
IDLE = [sys.executable, "-Ic", "import sys; sys.stdin.read()"]


def blocking(name: str, *arguments, **options):
    return getattr(waits, name)(*arguments, **options)


def in_asyncio(name: str, *arguments, **options):
    return asyncio.run(getattr(waits, f"async_{name}")(*arguments, **options))


def in_trio(name: str, *arguments, **options):
    return trio.run(functools.partial(getattr(waits, f"async_{name}"), *arguments, **options))


ways = pytest.mark.parametrize("wait", [blocking, in_asyncio, in_trio], ids=["sync", "asyncio", "trio"])


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def port(listener: socket.socket) -> int:
    return listener.getsockname()[1]


@pytest.fixture
def unused(port: int) -> int:
    """A port on which nothing listens: it is bound, so nobody else gets it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def connection(listener: socket.socket) -> Iterator[int]:
    """The client's port of an open connection from 127.0.0.3 to the listener."""
    address = listener.getsockname()
    with socket.create_connection(address, source_address=("127.0.0.3", 0)) as client, listener.accept()[0]:
        yield client.getsockname()[1]


@ways
class TestEveryTwin:
    def test_nothing_listens(self, wait, unused: int):
        with pytest.raises(WaitTimeout, match=rf"^nothing listens on port {unused}/tcp after 0\.03 s"):
            wait("wait_listening", unused, timeout=0.03)

    def test_something_still_listens(self, wait, port: int):
        with pytest.raises(
            WaitTimeout, match=rf"^a process still listens on port {port}/tcp after 0\.03 s\n"
        ):
            wait("wait_not_listening", port, timeout=0.03)

    def test_something_is_still_connected(self, wait, port: int, connection: int):
        with pytest.raises(
            WaitTimeout, match=rf"^connections of port {port}/tcp are still open after 0\.03 s\n"
        ):
            wait("wait_no_connections", port, timeout=0.03)

    def test_a_dead_process_is_an_error_with_its_status(self, wait, unused: int):
        dying = subprocess.Popen([sys.executable, "-Ic", "raise SystemExit(7)"])
        with dying, pytest.raises(ProcessDied, match=r"exited with status 7 before it listened"):
            wait("wait_listening", unused, process=dying, timeout=30)

    def test_an_awaited_wait_is_not_said_to_block_the_loop(self, wait, port: int, unused: int):
        for arguments in ({"port": unused}, {"port": port, "check": lambda: False}):
            with pytest.raises(WaitTimeout) as caught:
                wait("wait_listening", timeout=0, **arguments)
            assert "blocked the running" not in str(caught.value)

    def test_a_check_that_stays_false_is_an_error(self, wait, port: int):
        with pytest.raises(WaitTimeout, match=r"is listened on, but check was not true after 0\.03 s$"):
            wait("wait_listening", port, check=lambda: False, timeout=0.03)

    def test_a_check_that_raises_is_shown_until_it_answers(self, wait, port: int):
        answers = iter([ConnectionError("too early"), False, True])

        def check():
            answer = next(answers, True)
            if isinstance(answer, Exception):
                raise answer
            return answer

        def fails():
            raise ConnectionError("never")

        assert [entry.local.port for entry in wait("wait_listening", port, check=check)] == [port]
        with pytest.raises(WaitTimeout, match=r"\ncheck last raised ConnectionError: never$"):
            wait("wait_listening", port, check=fails, timeout=0.03)

    def test_a_mistake_in_a_check_ends_the_wait_at_once(self, wait, port: int):
        begin = time.monotonic()
        with pytest.raises(NameError):
            wait("wait_listening", port, check=lambda: nope, timeout=60)  # noqa: F821
        assert time.monotonic() - begin < 30

    def test_the_host_decides_which_listener_counts(self, wait, port: int):
        (entry,) = wait("wait_listening", port, "127.0.0.1", timeout=0.03)
        assert (entry.local, entry.status) == (("127.0.0.1", port), "LISTEN")
        wait("wait_not_listening", port, "127.0.0.2", timeout=0.03)
        with pytest.raises(WaitTimeout) as caught:
            wait("wait_listening", port, "127.0.0.2", timeout=0.03)
        assert str(caught.value).startswith(f"nothing listens on port {port}/tcp of 127.0.0.2 after 0.03 s\n")
        assert f"listens on 127.0.0.1:{port}, which does not answer for 127.0.0.2" in str(caught.value)
        with pytest.raises(WaitTimeout, match=rf"still listens on port {port}/tcp of 127\.0\.0\.1 after"):
            wait("wait_not_listening", port, "127.0.0.1", timeout=0.03)

    def test_with_a_host_only_its_listeners_are_returned(self, wait, port: int):
        with socket.create_server(("127.0.0.2", port)):
            (entry,) = wait("wait_listening", port, "127.0.0.2", timeout=0.03)
            assert entry.local.host == "127.0.0.2"
            assert len(wait("wait_listening", port, timeout=0.03)) == 2

    def test_the_host_may_be_either_end_of_a_connection(self, wait, port: int, connection: int):
        for host in ("127.0.0.1", None):
            with pytest.raises(WaitTimeout):
                wait("wait_no_connections", port, host, timeout=0.03)
        with pytest.raises(WaitTimeout):
            wait("wait_no_connections", connection, "127.0.0.3", timeout=0.03)
        wait("wait_no_connections", port, "127.0.0.2", timeout=0.03)
        wait("wait_no_connections", connection, "127.0.0.1", timeout=0.03)

    def test_a_zero_timeout_looks_once(self, wait, port: int, unused: int):
        assert wait("wait_listening", port, timeout=0)
        with pytest.raises(WaitTimeout, match=r"after 0 s"):
            wait("wait_listening", unused, timeout=0)

    @pytest.mark.parametrize("name", WAITS)
    def test_the_frames_of_the_wait_are_hidden_from_the_traceback(
        self, wait, name, listener, port, connection
    ):
        """pytest then shows the line of the test that waited, not the loop around the look."""
        options = {"check": lambda: nope} if name == "wait_listening" else {"timeout": 0}  # noqa: F821
        with pytest.raises((WaitTimeout, NameError)) as caught:
            wait(name, port, **options)
        _all_hidden(caught.value)


def _all_hidden(error: BaseException) -> None:
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [frame for frame in frames if f"{os.sep}pytest_sockets{os.sep}" in frame.f_code.co_filename]
    assert ours
    assert [frame.f_code.co_name for frame in ours if not frame.f_locals.get("__tracebackhide__")] == []


def test_the_frames_that_watch_a_process_are_hidden_too(unused: int):
    with subprocess.Popen([sys.executable, "-Ic", ""]) as process, pytest.raises(ProcessDied) as caught:
        waits.wait_listening(unused, process=process)
    _all_hidden(caught.value)


def test_every_wait_defaults_to_tcp_and_five_seconds():
    for name in (*WAITS, *(f"async_{name}" for name in WAITS)):
        parameters = inspect.signature(getattr(waits, name)).parameters
        assert (parameters["protocol"].default, parameters["timeout"].default) == ("tcp", 5.0), name
        assert parameters["host"].default is None


@contextlib.contextmanager
def _listening_child(count: int) -> Iterator[subprocess.Popen]:
    code = f"import socket, sys; s = [socket.create_server(('127.0.0.1', 0)) for _ in range({count})]; print(*(o.getsockname()[1] for o in s), flush=True); sys.stdin.read()"  # noqa: E501
    with subprocess.Popen(
        [sys.executable, "-Ic", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.ports = process.stdout.readline().split()
        yield process


class TestWhatIsThereInstead:
    def test_nothing_at_all(self):
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            port = bound.getsockname()[1]
            with pytest.raises(WaitTimeout) as caught:
                waits.wait_listening(port, protocol="udp", timeout=0.01)
        assert str(caught.value) == (
            f"nothing listens on port {port}/udp after 0.01 s\nthis process and its children listen on nothing (udp)"
        )

    def test_a_process_that_listens_on_nothing(self, unused: int):
        with subprocess.Popen(IDLE, stdin=subprocess.PIPE) as process:
            with pytest.raises(WaitTimeout) as caught:
                waits.wait_listening(unused, process=process, timeout=0.01)
            process.kill()
        first, second, *_ = str(caught.value).splitlines()
        assert first.endswith(f"after 0.01 s, though process {process.pid} still runs")
        assert second == "it and its children listen on nothing (tcp)"

    @pytest.mark.parametrize(("count", "more"), [(4, None), (5, "... and 2 more")])
    def test_at_most_four_lines_and_a_count(self, unused: int, count: int, more: str | None):
        with _listening_child(count) as process:
            with pytest.raises(WaitTimeout) as caught:
                waits.wait_listening(unused, process=process, timeout=0)
            process.kill()
        lines = str(caught.value).splitlines()[1:5]
        assert all(f"process {process.pid} (" in line and ") listens on 127" in line for line in lines[:3])
        assert lines[3] == more if more else ") listens on 127" in lines[3]

    def test_connections_are_listed_with_the_end_of_the_port_first_and_bounded(self, listener, port: int):
        clients = [socket.create_connection(listener.getsockname()) for _ in range(3)]
        accepted = [listener.accept()[0] for _ in clients]
        with pytest.raises(WaitTimeout) as caught:
            waits.wait_no_connections(port, timeout=0)
        lines = str(caught.value).splitlines()
        assert all(f" on 127.0.0.1:{port} with " in line for line in lines[1:4])
        assert lines[4:] == ["... and 3 more"]
        for sock in (*clients, *accepted):
            sock.close()


class TestAForeignListener:
    def test_it_is_an_error_only_after_its_grace_time(self, port: int):
        with subprocess.Popen(IDLE, stdin=subprocess.PIPE) as process:
            begin = time.monotonic()
            with pytest.raises(WaitTimeout) as caught:
                waits.wait_listening(port, process=process, timeout=60)
            took = time.monotonic() - begin
            process.kill()
        assert ownership.FOREIGN_GRACE <= took < 30
        lines = str(caught.value).splitlines()
        assert lines[0] == f"process {process.pid} cannot listen on port {port}/tcp: another process does"
        assert lines[1].endswith(f"port {port}/tcp is held by:")

    def test_at_the_deadline_it_is_named_too(self, port: int):
        with subprocess.Popen(IDLE, stdin=subprocess.PIPE) as process:
            with pytest.raises(WaitTimeout) as caught:
                waits.wait_listening(port, process=process, timeout=0.1)
            process.kill()
        lines = str(caught.value).splitlines()
        assert lines[0] == f"process {process.pid} cannot listen on port {port}/tcp: another process does"
        assert lines[1].endswith(f"port {port}/tcp is held by:")


def test_the_log_names_every_other_listener_once(unused: int, caplog: pytest.LogCaptureFixture):
    """A long wait says once, after half of its time, what the process listens on instead."""
    with _listening_child(2) as process:
        with caplog.at_level(logging.WARNING, "pytest_sockets"), pytest.raises(WaitTimeout):
            waits.wait_listening(unused, process=process, timeout=0.3)
        process.kill()
    (text,) = [record.getMessage() for record in caplog.records]
    first, second = text.split("; ")
    assert first.startswith(f"waiting for port {unused}/tcp: process {process.pid} (")
    assert sorted(part.rpartition(":")[2].encode() for part in (first, second)) == sorted(process.ports)


@pytest.mark.parametrize(("way", "name"), [(asyncio.run, "asyncio"), (trio.run, "trio")])
def test_a_blocked_loop_is_named_exactly(way, name: str, unused: int):
    async def main() -> None:
        waits.wait_listening(unused, timeout=0)

    with pytest.raises(WaitTimeout) as caught:
        way(main()) if name == "asyncio" else way(main)
    assert str(caught.value).splitlines()[-1] == (
        f"this wait blocked the running {name} event loop, where no server can start meanwhile: "
        "use `await async_wait_listening(...)`"
    )


def test_a_thread_that_ends_without_listening_is_an_error(unused: int):
    thread = threading.Thread(target=lambda: None, name="api")
    thread.start()
    thread.join()
    with pytest.raises(ProcessDied, match=r"^thread 'api' ended before it listened on"):
        waits.wait_listening(unused, process=thread, timeout=30)
