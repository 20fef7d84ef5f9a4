"""The sentences of waits, assertions and "address in use": exact words, exact bounds."""

from __future__ import annotations

import os
import re
import time

import pytest

from pytest_sockets.asserting import messages
from pytest_sockets.asserting.holder_text import Holder
from pytest_sockets.model import Endpoint, SocketEntry

LOCAL, REMOTE = Endpoint("127.0.0.1", 80), Endpoint("127.0.0.1", 5000)
DAY = 86_400


def entry(status: str, remote: Endpoint | None = None, protocol: str = "tcp", **more) -> SocketEntry:
    return SocketEntry(protocol, "AF_INET", LOCAL, remote, status, **more)


@pytest.mark.parametrize(
    ("ago", "shown"),
    [
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "120 min"),
        (7200, "2 h"),
        (2 * DAY - 1, "48 h"),
        (2 * DAY, "2 days"),
        (9 * DAY, "9 days"),
        (-5, "0 s"),
    ],
)
def test_an_age_is_given_in_its_largest_unit_from_two_on(ago: float, shown: str):
    assert messages.since(1e9, 1e9 + ago).endswith(f" ({shown} ago)")


def test_a_start_has_its_clock_time_and_from_one_day_on_its_date():
    start = 1e9
    local = time.localtime(start)
    assert messages.since(start, start + DAY - 1) == f"since {time.strftime('%H:%M:%S', local)} (24 h ago)"
    assert messages.since(start, start + DAY) == f"since {time.strftime('%Y-%m-%d %H:%M', local)} (24 h ago)"
    assert messages.since(None) == ""


@pytest.mark.parametrize(
    ("status", "remote", "left", "sentence"),
    [
        ("ESTABLISHED", REMOTE, None, "127.0.0.1:80 with 127.0.0.1:5000 is in ESTABLISHED: it waits in the backlog"),
        ("SYN_RECV", REMOTE, None, "127.0.0.1:80 with 127.0.0.1:5000 is in SYN_RECV: it waits in the backlog"),
        ("CLOSE_WAIT", REMOTE, None, "127.0.0.1:80 with 127.0.0.1:5000 is in CLOSE_WAIT: it waits in the backlog"),
        ("FIN_WAIT2", REMOTE, None, "127.0.0.1:80 with 127.0.0.1:5000 is in FIN_WAIT2: no process holds it any more"),
        ("TIME_WAIT", None, 1.25, "127.0.0.1:80 is in TIME_WAIT for another 1.2 s: no process holds it any more"),
    ],
)  # fmt: skip
def test_a_socket_that_no_process_holds_says_why(status: str, remote, left: float | None, sentence: str):
    """Linux gives a socket an inode only while a process has it."""
    assert messages.sentence(entry(status, remote, uid=0, time_wait_left=left)).startswith(sentence)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"inode": 7, "uid": 0},
            "a process that is not visible to this user (uid 0) listens on 127.0.0.1:80",
        ),
        ({"inode": 7}, "a process that is not visible to this user listens on 127.0.0.1:80"),
        ({"pid": os.getpid(), "name": "x"}, f"this process, pid {os.getpid()} (x) listens on 127.0.0.1:80"),
        ({"pid": 1, "name": "init"}, "pid 1 (init) listens on 127.0.0.1:80"),
    ],
    ids=["hidden process of a user", "hidden process", "this process", "other process"],
)
def test_a_socket_that_a_process_holds_names_it(change, sentence: str):
    change = dict(change)
    name = change.pop("name", None)
    assert messages.sentence(entry("LISTEN", **change), name) == sentence


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (entry("CLOSE"), "is bound to, without listening, 127.0.0.1:80"),
        (entry("NONE", protocol="udp"), "is bound to 127.0.0.1:80"),
        (entry("NONE", REMOTE, "udp"), "has a connected UDP socket on 127.0.0.1:80 with 127.0.0.1:5000"),
        (entry("TIME_WAIT", time_wait_left=9.04), "is left in TIME_WAIT on 127.0.0.1:80 for another 9.0 s"),
        (entry("LAST_ACK", REMOTE), "has a connection in LAST_ACK on 127.0.0.1:80 with 127.0.0.1:5000"),
    ],
)  # fmt: skip
def test_a_socket_is_described_by_what_it_does(made: SocketEntry, text: str):
    assert messages.socket_text(made) == text


def test_an_exposed_socket_says_from_where_it_is_reached():
    assert messages.exposure(entry("LISTEN")) == (
        "tcp listens on 127.0.0.1:80, not only on loopback: reachable from outside"
    )


def test_a_holder_is_one_line_with_descriptor_user_and_age():
    held = Holder(entry("LISTEN", pid=1), 1, "init", user="root", started=time.time() - 240)
    text = messages.holder_sentence(held)
    assert re.fullmatch(
        r"pid 1 \(init\) listens on 127\.0\.0\.1:80, user root, running since \S+ \(4 min ago\)", text
    )
    own = Holder(entry("LISTEN", pid=os.getpid(), fd=7), os.getpid(), "x", user="root", started=1.0)
    assert (
        messages.holder_sentence(own) == f"this process, pid {os.getpid()} (x) listens on 127.0.0.1:80, fd 7"
    )


def test_a_list_is_shown_whole_up_to_its_bound_and_counts_the_rest():
    lines = list("abcde")
    assert messages.listed(lines[:4], 4) == ["a", "b", "c", "d"]
    assert messages.listed(lines, 4) == ["a", "b", "c", "... and 2 more"]


def test_a_port_of_the_ephemeral_range_or_below_1024_says_what_may_take_it(monkeypatch):
    monkeypatch.setattr(messages, "ephemeral_range", lambda: (40_000, 50_000))
    ephemeral = "lies in the kernel's ephemeral range 40000-50000: any connect() or bind(0) may be given it at any time"
    for port in (40_000, 50_000):
        assert messages.port_facts(port).startswith(f"{port} {ephemeral}; take a port from")
    assert messages.port_facts(1023).startswith("1023 is a well-known port: system services use it;")
    assert [messages.port_facts(port) for port in (1024, 39_999, 50_001)] == [None, None, None]
