"""Escape sequences, line ends and passwords of other processes never reach the terminal or a report."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="command lines are read from /proc")

HOLDER = """
import socket, sys, ctypes
s = socket.create_server(("127.0.0.1", 0))
ctypes.CDLL(None).prctl(15, b"\\x1b[7mevil\\nNAME", 0, 0, 0)
u = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
print(s.getsockname()[1], flush=True)
sys.stdin.read()
"""
ARGUMENTS = ["\x1b[31mred\nFAKE LINE\x07", "--password=hunter2", "postgres://bob:hunter2@db/x"]


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a listener in a process with a hostile name and command line."""
    command = [sys.executable, "-c", HOLDER, *ARGUMENTS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield int(process.stdout.readline())
        process.kill()


def check(text: str) -> None:
    """No control character but the line end, no line of the attacker's, no password."""
    assert re.sub(r"\x1b\[\d*m", "", text).replace("\n", "").isprintable()
    assert not [line for line in text.splitlines() if line.startswith(("FAKE", "NAME", "evil"))]
    assert "hunter2" not in text


TESTS = """
import socket
import pytest
from pytest_sockets import assert_not_listening, wait_not_listening, who_holds

def test_in_use():
    socket.create_server(("127.0.0.1", PORT))

def test_assertion(sockets):
    assert PORT not in sockets.listening

def test_function():
    assert_not_listening(PORT)

def test_wait():
    wait_not_listening(PORT, timeout=0.1)

def test_values():
    assert [*map(str, who_holds(PORT)), *who_holds(PORT)] == []
"""


def test_failures_are_printable_and_hide_passwords(suite, port: int):
    suite.write(test_x=TESTS.replace("PORT", str(port)))
    done = suite.run("-vv", "--color=no", report=False)
    assert done.outcomes == {"failed": 5}
    assert "\\x1b[7mevil\\nNAME" in done.text
    check(done.text)


@pytest.mark.parametrize("columns", ["80", "600"])
def test_the_table_is_printable_and_hides_passwords(suite, port: int, columns: str):
    done = suite.run(f"--sockets-table=:{port}", report=False, environment={"COLUMNS": columns})
    assert f"127.0.0.1:{port} " in done.text
    check(done.text)


def test_the_twin_passwords_are_shown_on_demand(suite, port: int):
    done = suite.run(
        f"--sockets-table=:{port}", "--sockets-show-secrets", report=False, environment={"COLUMNS": "600"}
    )
    assert "hunter2" in done.text


def test_a_unix_path_is_printable(suite):
    name = f"\0evil\x1b[2J\nFAKE-{id(suite)}"
    with socket.socket(socket.AF_UNIX) as holder:
        holder.bind(name)
        done = suite.run("--sockets-table=unix", report=False, environment={"COLUMNS": "600"})
        assert "@evil\\x1b[2J\\nFAKE" in done.text
        check(done.text)
