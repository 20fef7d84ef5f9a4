"""Waits read the table, end early when the server dies, and report the current state."""

from __future__ import annotations

import asyncio
import socket
import statistics
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest
import trio

from pytest_sockets.asserting import waits
from pytest_sockets.errors import ProcessDied, QueryError, QueryTypeError, WaitTimeout
from tests.asserting.conftest import server

if TYPE_CHECKING:
    from pathlib import Path


def test_a_late_server_is_noticed_and_reported(port: int):
    with server(port, 0.1) as process:
        (entry,) = waits.wait_listening(port, process=process)
        assert (entry.pid, entry.local.port, entry.status) == (process.pid, port, "LISTEN")
        process.kill()
    waits.wait_not_listening(port)


def test_waiting_never_connects(port: int):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        waits.wait_listening(port, "127.0.0.1")
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_dead_process_ends_the_wait_at_once_with_status_and_stderr(port: int):
    begin = time.monotonic()
    dying = server(port, code="import sys; sys.exit('no config\\nboom')", stderr=subprocess.PIPE)
    with dying as process, pytest.raises(ProcessDied) as caught:
        waits.wait_listening(port, process=process, timeout=30)
    assert time.monotonic() - begin < 10
    assert f"process {process.pid} exited with status 1 before it listened on port {port}/tcp" in str(
        caught.value
    )
    assert "boom" in str(caught.value)


def test_a_killed_pid_without_popen_is_noticed_and_its_file_is_read(port: int, tmp_path: Path):
    log = tmp_path / "stderr.log"
    code = (
        "import sys, os, time; print('last words', file=sys.stderr); time.sleep(0.3); os.kill(os.getpid(), 9)"
    )
    with log.open("wb") as stderr, server(port, code=code, stderr=stderr) as process:
        with pytest.raises(ProcessDied, match=r"was killed by SIGKILL") as caught:
            waits.wait_listening(port, process=process.pid, timeout=30)
        assert process.wait() == -9  # the status was not taken away
    assert "last words" in str(caught.value)


def test_a_grandchild_that_keeps_stderr_open_does_not_hold_the_wait(port: int):
    code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3)']); sys.exit(4)"
    begin = time.monotonic()
    with server(port, code=code, stderr=subprocess.PIPE) as process:
        with pytest.raises(ProcessDied, match=r"status 4"):
            waits.wait_listening(port, process=process, timeout=30)
        assert time.monotonic() - begin < 2.5


def test_the_timeout_names_the_other_port_and_the_log_names_it_meanwhile(
    port: int, caplog: pytest.LogCaptureFixture
):
    with server(port + 1) as process:
        waits.wait_listening(port + 1, process=process)
        with pytest.raises(WaitTimeout) as caught:
            waits.wait_listening(port, process=process, timeout=0.3)
        process.kill()
    assert f"nothing listens on port {port}/tcp after 0.3 s, though process {process.pid} still runs" in str(
        caught.value
    )
    assert f"process {process.pid} (" in str(caught.value)
    assert f"listens on 127.0.0.1:{port + 1}" in str(caught.value)
    assert f"listens on 127.0.0.1:{port + 1}" in caplog.text


def test_the_timeout_names_the_other_address(port: int):
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(WaitTimeout, match=rf"listens on 127.0.0.1:{port}, which does not answer for ::1"):
            waits.wait_listening(port, "::1", timeout=0.05)
        assert waits.wait_listening(port, "localhost", timeout=0.05)
        with pytest.raises(WaitTimeout, match=rf"a process still listens on port {port}/tcp"):
            waits.wait_not_listening(port, timeout=0.05)


def test_udp_is_waited_for_apart_from_tcp(port: int):
    with socket.socket(type=socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", port))
        assert waits.wait_listening(port, protocol="udp", timeout=0.05)
        with pytest.raises(WaitTimeout):
            waits.wait_listening(port, timeout=0.05)


def test_connections_are_waited_out_on_either_side_and_named():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = listener.accept()
        with pytest.raises(WaitTimeout, match=r"has a connection in ESTABLISHED on 127\.0\.0\.1"):
            waits.wait_no_connections(port, timeout=0.05)
        accepted.close()
        with pytest.raises(WaitTimeout, match=r"CLOSE_WAIT"):
            waits.wait_no_connections(port, timeout=0.05)
        timer = threading.Timer(0.1, client.close)
        timer.start()
        waits.wait_no_connections(port)
        timer.join()


@pytest.mark.parametrize(
    "run", [asyncio.run, lambda coroutine: trio.run(lambda: coroutine)], ids=["asyncio", "trio"]
)
def test_an_event_loop_goes_on_while_one_waits(port: int, run):
    async def main() -> int:
        ticks = 0
        waiting = waits.async_wait_listening(port)

        async def tick(sleep, done) -> None:
            nonlocal ticks
            while not done():
                ticks += 1
                await sleep(0.001)

        if run is asyncio.run:
            task = asyncio.ensure_future(waiting)
            await tick(asyncio.sleep, task.done)
            await task
        else:
            finished = trio.Event()

            async def wait() -> None:
                await waiting
                finished.set()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                await tick(trio.sleep, finished.is_set)
        await waits.async_wait_no_connections(port)
        with pytest.raises(WaitTimeout):
            await waits.async_wait_not_listening(port, timeout=0.01)
        return ticks

    with server(port, 0.2) as process:
        assert run(main()) > 5
        process.kill()


@pytest.mark.parametrize("wrong", [-1, True, "5", float("inf"), float("nan")])
def test_a_wrong_timeout_port_protocol_or_process_is_a_clear_error(wrong: object):
    with pytest.raises(QueryError, match=r"not a number of seconds"):
        waits.wait_listening(80, timeout=wrong)
    for port in (0, "80", True):
        with pytest.raises(QueryError):
            waits.wait_listening(port)
    with pytest.raises(QueryError, match=r"not a valid protocol; use one of: tcp, udp"):
        waits.wait_listening(80, protocol="sctp")
    for process in (object(), 2**70, 0, -1):
        with pytest.raises(QueryError, match=r"not a process"):
            waits.wait_listening(80, process=process)


def test_a_number_typed_as_text_is_named_with_its_type():
    with pytest.raises(
        QueryTypeError, match=r"^'1' \(str\) is not a number of seconds; use 0 or more, such as 5\.0$"
    ):
        waits.wait_listening(80, timeout="1")  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_new_listener_is_noticed_within_8_ms(port: int):
    """Median of 30; the listener opens after 20-50 ms."""
    late = []
    for number in range(30):
        opened: list[float] = []
        made: list[socket.socket] = []

        def listen(delay: float = 0.02 + number / 1000, opened=opened, made=made) -> None:
            time.sleep(delay)
            made.append(socket.create_server(("127.0.0.1", port)))
            opened.append(time.perf_counter())

        thread = threading.Thread(target=listen)
        thread.start()
        waits.wait_listening(port)
        late.append(time.perf_counter() - max(opened or [time.perf_counter()]))
        thread.join()
        made[0].close()
    assert statistics.median(late) < 0.008


class TestChecks:
    """A port forwarder listens before the server behind it answers."""

    def test_it_must_be_true_as_well(self, port: int):
        answers = [False, ConnectionError("reset"), True]
        asked = []

        def check() -> bool:
            asked.append(1)
            answer = answers[len(asked) - 1]
            if isinstance(answer, Exception):
                raise answer
            return answer

        with pytest.raises(WaitTimeout, match=r"nothing listens on"):
            waits.wait_listening(port, check=check, timeout=0.05)
        assert not asked
        with socket.create_server(("127.0.0.1", port)):
            assert waits.wait_listening(port, check=check)
        assert len(asked) == 3

    def test_what_it_last_raised_is_in_the_timeout(self, port: int):
        def check() -> bool:
            raise ConnectionResetError("not yet")

        with socket.create_server(("127.0.0.1", port)), pytest.raises(WaitTimeout) as caught:
            waits.wait_listening(port, check=check, timeout=0.1)
        assert "is listened on, but check was not true after 0.1 s" in str(caught.value)
        assert "check last raised ConnectionResetError: not yet" in str(caught.value)

    def test_a_mistake_in_it_is_raised_at_once(self, port: int):
        with socket.create_server(("127.0.0.1", port)), pytest.raises(NameError):
            waits.wait_listening(port, check=lambda: nope, timeout=30)  # noqa: F821
        with pytest.raises(QueryTypeError, match=r"check=7 is not callable"):
            waits.wait_listening(port, check=7)

    def test_an_asynchronous_one_needs_the_asynchronous_wait(self, port: int):
        async def check() -> bool:
            await asyncio.sleep(0)
            return True

        with socket.create_server(("127.0.0.1", port)):
            with pytest.raises(QueryTypeError, match=r"use `await async_wait_listening"):
                waits.wait_listening(port, check=check)
            assert asyncio.run(waits.async_wait_listening(port, check=check))


@pytest.mark.parametrize("kind", ["asyncio", "trio"])
def test_a_blocking_wait_in_an_event_loop_says_which_await_to_use(port: int, kind: str):
    async def main() -> None:
        waits.wait_listening(port, timeout=0.05)

    with pytest.raises(
        WaitTimeout, match=rf"blocked the running {kind} event loop.*`await async_wait_listening\("
    ):
        asyncio.run(main()) if kind == "asyncio" else trio.run(main)
    with pytest.raises(WaitTimeout) as caught:  # the twin: without a loop nothing is said of one
        waits.wait_listening(port, timeout=0.05)
    assert "await" not in str(caught.value)


def test_both_streams_are_shown_also_when_the_process_still_runs(port: int):
    code = "import sys; print('to stdout', flush=True); print('to stderr', file=sys.stderr, flush=True); sys.stdin.read()"
    with server(port, code=code, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        with pytest.raises(WaitTimeout) as caught:
            waits.wait_listening(port, process=process, timeout=1)
        process.kill()
    assert "the end of its stdout:\n  to stdout" in str(caught.value)
    assert "the end of its stderr:\n  to stderr" in str(caught.value)


def test_redirected_streams_are_shown_once_if_they_share_a_file(port: int, tmp_path: Path):
    with (tmp_path / "log").open("wb") as log:
        code = "import sys; print('only once', flush=True); sys.stdin.read()"
        with server(port, code=code, stdout=log, stderr=subprocess.STDOUT) as process:
            with pytest.raises(WaitTimeout) as caught:
                waits.wait_listening(port, process=process, timeout=1)
            process.kill()
    assert str(caught.value).count("only once") == 1
