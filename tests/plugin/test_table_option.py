"""`pytest --sockets-table[=FILTER]` prints the table and exits 0; a wrong filter is a usage error."""

from __future__ import annotations

import os
import socket

import pytest


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
    assert "unix sockets are not shown" in done.text


@pytest.mark.parametrize(
    "word", ["LISTEN", "listen", "listen tcp", ":{port}", "{pid}", "pytho*", "tcp,{pid}"]
)
def test_filters_keep_what_holds(suite, server, word: str):
    port = server.getsockname()[1]
    filter_ = word.format(port=port, pid=os.getpid())
    done = suite.run(f"--sockets-table={filter_}", report=False)
    assert done.exit_code == 0, done.text
    assert f"127.0.0.1:{port} " in done.text


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
        (":x", "is no port"),
        (":70000", "ports are 1-65535"),
        ("tests/", "is no status"),
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
    from pytest_sockets.plugin import table_option

    entry = SocketEntry("tcp", "AF_INET", Endpoint("127.0.0.1", 80), None, "LISTEN", inode=1, uid=0)
    text = table_option.render([entry], table_option.parse_filter(""), 120)
    assert "127.0.0.1:80 (http)" in text
