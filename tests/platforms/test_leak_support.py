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


BLIND = """
from pytest_sockets.leaks.identity import Serials
Serials.at = lambda self, fd: None
"""
MARKED = """
import pytest
@pytest.mark.sockets(leaks="error")
def test_marked(): pass
"""


@pytest.fixture
def blind(suite):
    """No system is known whose sockets have no identity: this one forgets them."""
    suite.write(conftest=BLIND)


@pytest.mark.parametrize("option", ["--sockets-leaks=error", "--sockets-unclosed=error"])
def test_error_mode_is_refused_without_identity(run_on, blind, option):
    done = run_on("win32", option)
    assert done.exit_code == pytest.ExitCode.USAGE_ERROR, done.text
    assert f"{option}: socket leaks cannot be detected on this system" in done.text
    assert "Traceback" not in done.text


def test_a_mark_that_asks_for_error_mode_is_refused_without_identity(suite, run_on, blind):
    suite.write(test_b=MARKED)
    done = run_on("win32", "--sockets-leaks=off")
    assert done.exit_code == pytest.ExitCode.USAGE_ERROR, done.text
    assert "@pytest.mark.sockets on test_b.py::test_marked" in done.text
    assert 'leaks="error": socket leaks cannot be detected on this system' in done.text


def test_a_mark_may_ask_for_error_mode_with_identity(suite, run_on):
    suite.write(test_b=MARKED)
    assert run_on("win32", "--sockets-leaks=off").exit_code == 0


def test_warn_mode_says_so_in_the_header_without_identity(run_on, blind):
    done = run_on("win32")
    assert done.exit_code == 0, done.text
    assert "sockets: NO LEAK IS DETECTED in this run: win32 gives an open socket no identity" in done.text


def test_off_says_nothing(run_on, blind):
    done = run_on("win32", "--sockets-leaks=off")
    assert "NO LEAK IS DETECTED" not in done.text


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_error_mode_finds_leaks_with_identity(run_on, platform):
    done = run_on(platform, "--sockets-leaks=error")
    assert done.exit_code == 1, done.text
    assert "NO LEAK IS DETECTED" not in done.text
    assert done.owners == ["test_leaks"]


@pytest.mark.parametrize(("platform", "says_so"), [("darwin", False), ("win32", True)])
def test_the_header_says_what_cannot_be_listed(run_on, platform, says_so):
    done = run_on(platform)
    assert ("cannot list descriptors" in done.text) is says_so, done.text
