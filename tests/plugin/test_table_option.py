"""`pytest --sockets-table[=FILTER]` prints the table and exits 0; a wrong filter is a usage error."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_the_table_has_process_user_and_status_and_runs_no_test(suite, server):
    suite.write(test_a="def test_a(): raise SystemExit")
    port = server.getsockname()[1]
    done = suite.run("--sockets-table", report=False)
    assert done.exit_code == 0
    (line,) = [line for line in done.text.splitlines() if f"127.0.0.1:{port} " in line]
    assert "LISTEN" in line
    assert f" {os.getpid()} " in line
    assert "collected" not in done.text
    assert " of " in done.text


def test_hidden_unix_sockets_are_counted(suite):
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(f"\0{suite.folder}")
        done = suite.run("--sockets-table=tcp", report=False)
    assert "unix sockets are not shown (--sockets-table=unix)" in done.text


@pytest.mark.parametrize("word", ["LISTEN", "listen", "listen tcp", ":{port}", "{pid}", "tcp,{pid}"])
def test_filters_keep_what_holds(suite, server, word: str):
    port = server.getsockname()[1]
    filter_ = word.format(port=port, pid=os.getpid())
    done = suite.run(f"--sockets-table={filter_}", report=False)
    assert done.exit_code == 0, done.text
    assert f"127.0.0.1:{port} " in done.text


@pytest.fixture
def named_server(tmp_path) -> Iterator[int]:
    """The port of a server whose process is called `holdfast` and whose program is a Python."""
    code = (
        "import ctypes, socket, sys; s = socket.create_server(('127.0.0.1', 0)); ctypes.CDLL(None).prctl(15, b'holdfast'); "
        "print(s.getsockname()[1], flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield int(process.stdout.readline())
        process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) sets the name")
@pytest.mark.parametrize(
    "word", ["holdfast", "oldfas", "holdf*", "Holdfast", "pytho*", "*create_server*", "?oldfast"]
)
def test_a_process_is_found_by_its_name_its_program_and_its_command_line(suite, named_server: int, word: str):
    assert f"127.0.0.1:{named_server} " in suite.run(f"--sockets-table={word}", report=False).text


@pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) sets the name")
@pytest.mark.parametrize("word", ["holdfas?t", "oldfast*", "[h]oldfast", "ython*"])
def test_the_twin_another_name_does_not_find_it(suite, named_server: int, word: str):
    assert f"127.0.0.1:{named_server} " not in suite.run(f"--sockets-table={word}", report=False).text


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("listne", "'listne' means the name of a process; did you mean LISTEN?"),
        ("tpc", "'tpc' means the name of a process; did you mean tcp?"),
        ("no-such-program", "'no-such-program' means the name of a process"),
        ("4194304", "4194304 means a process id; for a port write :4194304"),
    ],
)
def test_an_empty_table_says_what_the_filter_meant(suite, word: str, hint: str):
    done = suite.run(f"--sockets-table={word}", report=False)
    assert done.exit_code == 0
    assert hint in done.text.splitlines()


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_a_terminal_of_any_encoding_shows_the_table(suite, encoding: str):
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(f"\0端口-{encoding}-{suite.folder}"[:80])
        done = suite.run("--sockets-table=unix", report=False, environment={"PYTHONIOENCODING": encoding})
    assert done.exit_code == 0, done.text
    assert ("@端口-" if encoding == "utf-8" else "@\\u7aef\\u53e3-") in done.text


def test_a_reader_that_leaves_early_causes_no_traceback(suite):
    command = " ".join(map(shlex.quote, suite.command("--sockets-table")))
    done = subprocess.run(
        ["sh", "-c", f"{command} | true"],
        cwd=suite.folder,
        env=suite.environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""


@pytest.mark.parametrize("word", ["ESTABLISHED", ":1", "udp", "1", "nginx-of-nobody"])
def test_filters_drop_what_does_not_hold(suite, server, word: str):
    done = suite.run(f"--sockets-table={word}", report=False)
    assert done.exit_code == 0
    assert f"127.0.0.1:{server.getsockname()[1]} " not in done.text.replace("->", "")


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("LISTNE", "did you mean LISTEN?"),
        ("ESTAB", "did you mean ESTABLISHED?"),
        (":x", "is not a port"),
        (":70000", "ports are 1-65535"),
        ("tests/", "looks like a path, not a filter"),
        ("test_a.py", "looks like a path, not a filter"),
        ("127.0.0.1:80", "for a port write :80"),
        ("left,tcp", "cannot be combined with 'tcp'"),
    ],
)
def test_a_wrong_filter_is_a_usage_error_that_says_where_it_was_set(suite, word: str, text: str):
    done = suite.run(f"--sockets-table={word}", report=False)
    assert done.exit_code == 4
    assert f"command line, --sockets-table={word}: " in done.text
    assert text in done.text


def test_lines_fit_the_terminal(suite, server):
    done = suite.run("--sockets-table", report=False, environment={"COLUMNS": "70"})
    table = done.text[: done.text.index("\n\n")]
    assert max(map(len, table.splitlines())) <= 70


def test_rows_are_sorted_and_columns_aligned(suite, server):
    with socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        done = suite.run(f"--sockets-table={os.getpid()}", report=False, environment={"COLUMNS": "200"})
    header, *rows = done.text[: done.text.index("\n\n")].splitlines()
    protocols = [row.split()[0] for row in rows]
    assert protocols == sorted(protocols)
    assert {"tcp", "udp"} <= set(protocols)
    column = header.index("Local address")
    assert all(row[column - 1] == " " and row[column] != " " for row in rows)


def test_service_names_are_shown():
    from pytest_sockets.model import Endpoint, SocketEntry
    from pytest_sockets.plugin import table_filter, table_text

    entry = SocketEntry("tcp", "AF_INET", Endpoint("127.0.0.1", 80), None, "LISTEN", inode=1, uid=0)
    text = table_text.sockets([entry], table_filter.parse(""), 120)
    assert "127.0.0.1:80 (http)" in text
