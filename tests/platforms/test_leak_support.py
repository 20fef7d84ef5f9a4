"""Where leaks cannot be detected, the header says so and `error` is refused: no run passes unchecked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
LEAKY = """
import socket
KEPT = []
def test_leaks(): KEPT.append(socket.create_server(("127.0.0.1", 0)))
"""


@pytest.fixture
def run_on(suite):
    suite.write(test_a=LEAKY)

    def run(platform, *arguments):
        path = os.pathsep.join([str(HERE), str(HERE.parents[1])])
        return suite.run("-p", "deceive", *arguments, environment={"PLATFORM": platform, "PYTHONPATH": path})

    return run


@pytest.fixture(autouse=True)
def deceive_first(monkeypatch, suite):
    """The simulation is loaded before the plugin, which `Suite.command` puts first."""
    real = suite.command
    monkeypatch.setattr(suite, "command", lambda *words, **named: reordered(real(*words, **named)))


def reordered(command):
    first = command.index("deceive") - 1
    return [*command[:3], *command[first : first + 2], *command[3:first], *command[first + 2 :]]


@pytest.mark.parametrize("option", ["--sockets-leaks=error", "--sockets-unclosed=error"])
def test_error_mode_is_refused(run_on, option):
    done = run_on("win32", option)
    assert done.exit_code == pytest.ExitCode.USAGE_ERROR, done.text
    assert f"{option}: socket leaks cannot be detected on this system" in done.text
    assert "Traceback" not in done.text


def test_warn_mode_says_so_in_the_header(run_on):
    done = run_on("win32")
    assert done.exit_code == 0, done.text
    assert "sockets: NO LEAK IS DETECTED in this run: win32 gives an open socket no identity" in done.text


def test_off_says_nothing(run_on):
    done = run_on("win32", "--sockets-leaks=off")
    assert "NO LEAK IS DETECTED" not in done.text


def test_where_leaks_are_detected_error_mode_finds_them(run_on):
    done = run_on("darwin", "--sockets-leaks=error")
    assert done.exit_code == 1, done.text
    assert "NO LEAK IS DETECTED" not in done.text
    assert done.owners == ["test_leaks"]
