"""A test that uses up every descriptor is reported like any other, and the run goes on."""

from __future__ import annotations

import pytest

SUITE = """
    import resource
    import socket

    KEPT = []

    def test_hoards():
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        while True:
            KEPT.append(socket.create_server(("127.0.0.1", 0)))  # LEAK

    def test_later():
        assert len(KEPT) > 100

    def test_later_with_a_file(tmp_path):
        (tmp_path / "x").write_text("x")
"""
LINE = 11


def check(done):
    assert "INTERNALERROR" not in done.text
    assert "Traceback (most recent call last)" not in done.text, done.text
    assert "test_hoards - OSError" in done.text
    assert done.exit_code == 1
    assert sum(done.outcomes.values()) == 3, done.text


@pytest.mark.parametrize("mode", ["warn", "error"])
@pytest.mark.parametrize("reports", [(), ("--sockets-unclosed=warn",), ("--sockets-report=leaks.html",)])
def test_the_leak_is_reported_and_later_tests_run(suite, mode, reports):
    done = suite.write(test_a=SUITE).run(f"--sockets-leaks={mode}", *reports)
    check(done)
    assert set(done.owners) == {"test_hoards"}
    assert set(done.places) == {f"test_a.py:{LINE}"}


def test_in_an_xdist_worker(suite):
    done = suite.write(test_a=SUITE).run("--sockets-leaks=error", "-n", "1", plugins=("xdist",))
    check(done)
    assert set(done.owners) == {"test_hoards"}, done.text


def test_without_a_report_the_summary_shows_it(suite):
    done = suite.write(test_a=SUITE).run(report=False)
    check(done)
    assert f" x tcp LISTEN test_a.py:{LINE} in test test_a.py::test_hoards" in done.section()
