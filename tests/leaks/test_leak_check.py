"""`no_leaks()` names each socket that its block left open, without pytest and inside a test."""

# ruff: noqa: PT012 (the block that leaks is several lines)
from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pytest_sockets import SettingError, SocketLeakError, no_leaks
from pytest_sockets.leaks import watcher

LOOPBACK = ("127.0.0.1", 0)
KEPT = []


def line_of(text):
    """The number of the line of this file that contains `text` as its end."""
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(text))


def test_a_socket_left_open_is_named_with_its_line_and_its_holder():
    with pytest.raises(SocketLeakError) as caught, no_leaks(grace=0.05):  # the block
        KEPT.append(socket.create_server(LOOPBACK))  # the line
    text = str(caught.value)
    with KEPT.pop() as kept:
        fd, port = kept.fileno(), kept.getsockname()[1]
    assert text.startswith(
        f"1 socket left open by the block at test_leak_check.py:{line_of('# the block')}\n"
    )
    assert f"tcp 127.0.0.1:{port} LISTEN (fd {fd})" in text
    assert re.search(rf"opened at  \S*test_leak_check\.py:{line_of('# the line')} in test_a_socket", text)
    assert "module global `KEPT`" in text
    assert "\n  fix        " in text


def test_a_block_that_closes_what_it_opens_passes():
    with no_leaks(), socket.create_server(LOOPBACK) as server:
        socket.create_connection(server.getsockname()).close()


def test_sockets_that_were_open_before_do_not_count():
    with socket.create_server(LOOPBACK), no_leaks():
        pass


def test_a_socket_that_closes_within_the_grace_time_does_not_count():
    with no_leaks(grace=10):
        server = socket.create_server(LOOPBACK)
        timer = threading.Timer(0.1, server.close)
        timer.start()
    timer.join()


def test_the_twin_without_the_grace_time_it_counts():
    stop = threading.Event()
    with pytest.raises(SocketLeakError), no_leaks(grace=0):
        server = socket.create_server(LOOPBACK)
        thread = threading.Thread(target=lambda: (stop.wait(), server.close()))
        thread.start()
    stop.set()
    thread.join()


def test_a_thread_of_the_block_is_the_blocks():
    made = []
    with pytest.raises(SocketLeakError, match=r"opened at .* in <lambda>"), no_leaks(grace=0):
        thread = threading.Thread(target=lambda: made.append(socket.create_server(LOOPBACK)))
        thread.start()
        thread.join()
    made.pop().close()


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs unix sockets")
def test_only_the_chosen_protocols_count():
    with no_leaks(grace=0):
        pair = socket.socketpair()
    with no_leaks(grace=0, kinds=("udp",)):
        server = socket.create_server(LOOPBACK)
    with pytest.raises(SocketLeakError, match="unix"), no_leaks(grace=0, kinds=["unix"]):
        other = socket.socketpair()
    for sock in (*pair, *other, server):
        sock.close()


def test_blocks_can_be_nested():
    with pytest.raises(SocketLeakError, match="1 socket left open"), no_leaks(grace=0):
        outer = socket.create_server(LOOPBACK)
        with pytest.raises(SocketLeakError, match="1 socket left open"), no_leaks(grace=0):
            inner = socket.create_server(LOOPBACK)
        inner.close()
    outer.close()


def test_an_exception_of_the_block_is_raised_as_it_is():
    with pytest.raises(ZeroDivisionError) as caught, no_leaks(grace=0):
        server = socket.create_server(LOOPBACK)
        _ = 1 / 0
    assert caught.value.__context__ is None
    server.close()


def test_nothing_observes_after_the_block():
    before = watcher._listeners
    with no_leaks():
        assert len(watcher._listeners) == len(before) + 1
    assert watcher._listeners == before


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"kinds": "tcp"}, "kinds='tcp': use a collection of 'tcp', 'udp', 'unix'"),
        ({"kinds": ()}, "kinds="),
        ({"kinds": ("tcp", "sctp")}, "kinds="),
        ({"grace": -1}, "-1"),
    ],
)
def test_arguments_are_checked_by_the_call(settings, problem):
    with pytest.raises((SettingError, ValueError), match=re.escape(problem)):
        no_leaks(**settings)


UNITTEST = """
    import socket, unittest
    from pytest_sockets import no_leaks

    class Case(unittest.TestCase):
        def test_leaks(self):
            with no_leaks(grace=0):
                self.server = socket.create_server(("127.0.0.1", 0))
        def test_clean(self):
            with no_leaks(), socket.create_server(("127.0.0.1", 0)):
                pass

    if __name__ == "__main__":
        unittest.main()
"""


def test_a_unittest_case_fails_at_its_with_line(suite):
    suite.write(test_case=UNITTEST)
    done = subprocess.run(
        [sys.executable, "test_case.py"],
        cwd=suite.folder,
        env=suite.environment(),
        capture_output=True,
        text=True,
    )
    assert "FAILED (errors=1)" in done.stderr
    assert "SocketLeakError: 1 socket left open by the block at test_case.py:7" in done.stderr
    assert "opened at  test_case.py:8 in test_leaks" in done.stderr
    assert "pytest_sockets/leaks" not in done.stderr, "the engine's frames are not shown"
    assert "pytest" not in subprocess.run(
        [sys.executable, "-c", "import sys; from pytest_sockets import no_leaks; print([*sys.modules])"],
        cwd=suite.folder, env=suite.environment(), capture_output=True, text=True, check=True,
    ).stdout.replace("pytest_sockets", "")  # fmt: skip


@pytest.mark.parametrize("mode", ["off", "warn", "error"])
def test_inside_a_test_it_fails_that_test_once_in_every_mode(suite, mode):
    suite.write(
        test_a="""
            import socket
            from pytest_sockets import no_leaks
            KEPT = []
            def test_leaks():
                with no_leaks(grace=0):
                    KEPT.append(socket.create_server(("127.0.0.1", 0)))
            def test_clean():
                with no_leaks(), socket.create_server(("127.0.0.1", 0)):
                    pass
        """
    )
    done = suite.run(f"--sockets-leaks={mode}")
    assert done.outcomes == {"failed": 1, "passed": 1}, done.text
    assert "SocketLeakError: 1 socket left open by the block at test_a.py:6" in done.text
    assert "module global `KEPT`" in done.text
    if mode != "off":
        assert done.places == ["test_a.py:7"]
