"""Every socket is counted once, by what became of it."""

from __future__ import annotations

import json

import pytest

SUITE = """
    import gc, socket, subprocess, sys
    KEPT = []
    def udp():
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    def test_closes():
        for _ in range(2):
            udp().close()
    def test_leaks():
        KEPT.append(udp())
        KEPT.append(udp())
    def test_is_ignored():
        KEPT.append(udp())
    def test_drops():
        cycle = [udp(), udp(), udp()]
        cycle.append(cycle)
    def test_starts_a_server():
        code = "import socket; s = socket.create_server(('127.0.0.1', 0)); print('up', flush=True); input()"
        child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        KEPT.append(child)
        assert child.stdout.readline()
    def test_opens_nothing():
        pass
"""
RULE = "--sockets-ignore=owner=test:*test_is_ignored"


@pytest.fixture
def totals(suite):
    """`totals(...)`: those of a run with these arguments."""
    suite.write(test_a=SUITE)
    return lambda *arguments, **ways: suite.run(RULE, "-W", "ignore", *arguments, **ways).report["totals"]


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["one process", "xdist"])
def test_totals_are_exact(totals, arguments):
    plugins = ("xdist",) if arguments else ()
    assert totals(*arguments, plugins=plugins) == {
        "opened": 8, "leaked": 3, "known": 0, "ignored": 1, "collected": 3,
    }  # fmt: skip


def test_what_the_baseline_lists_is_known_and_not_leaked(totals):
    totals("--sockets-baseline=known.txt", "--sockets-update-baseline")
    assert totals("--sockets-baseline=known.txt") == {
        "opened": 8, "leaked": 0, "known": 3, "ignored": 1, "collected": 3,
    }  # fmt: skip


def test_dropped_sockets_are_findings_of_their_own_once_they_are_looked_for(totals):
    """They count among the collected, too: that number does not depend on the mode."""
    assert totals("--sockets-unclosed=warn") == {
        "opened": 8, "leaked": 6, "known": 0, "ignored": 1, "collected": 3,
    }  # fmt: skip


LIMITED = """
    import socket, threading
    KEPT = []
    def test_leaks():
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        KEPT.append(socket.create_server(("127.0.0.1", 0)))
"""


@pytest.mark.parametrize(
    ("limit", "note"),
    [
        (
            "judgement.LONGEST_WAITING = 0.0",
            "waiting for sockets to close was cut short after 0 s in all; lower --sockets-grace",
        ),
        (
            "referrers.Budget.__init__.__defaults__ = (0.0,)",
            "the search for what still refers to a socket was cut short in 1 case",
        ),
    ],
)
def test_one_line_says_what_was_cut_short(suite, limit, note):
    suite.write(test_a=LIMITED)
    assert note not in suite.run().text
    suite.write(conftest=f"from pytest_sockets.leaks import judgement, referrers\n{limit}")
    done = suite.run()
    assert done.text.count(note) == 1
    assert len(done.leaks) == 1
    assert json.dumps(done.report)
