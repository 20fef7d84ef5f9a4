"""`python -m pytest_sockets [FILTER]` prints the socket table."""

from __future__ import annotations

import os
import socket
import subprocess
import sys


def run(*words):
    command = [sys.executable, "-m", "pytest_sockets", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_filter_chooses_what_is_shown():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = run("LISTEN", f":{port}")
    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert lines[0].split()[:2] == ["Proto", "Status"]
    assert f"127.0.0.1:{port}" in lines[1]
    assert str(os.getpid()) in lines[1]
    assert lines[2] == ""


def test_the_twin_a_closed_socket_is_not_shown():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    done = run("LISTEN", f":{port}")
    assert done.returncode == 0
    assert f":{port}" not in done.stdout


def test_a_wrong_filter_is_a_usage_error_with_a_suggestion():
    done = run("LISTENING")
    assert done.returncode == 2
    assert "did you mean LISTEN?" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_messages_name_this_command_and_not_pytests_option():
    with socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX) as unix:
        unix.bind("")
        shown = run("tcp").stdout
    assert "unix sockets are not shown (python -m pytest_sockets unix)" in shown
    assert "write python -m pytest_sockets FILTER; use a status" in run("tests/").stderr
