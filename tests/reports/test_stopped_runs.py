"""A run that stops early says nothing of the tests it did not reach: no entry is dropped, and no rule is unused."""

from __future__ import annotations

import html
import re

import pytest

from pytest_sockets.reports.baseline import read_baseline

CONFTEST = """
    import os
    import socket
    import pytest
    KEPT = []

    def leak():
        KEPT.append(socket.create_server(("127.0.0.1", 0)))

    @pytest.fixture(scope="session")
    def early():
        yield
    @pytest.fixture(scope="session")
    def late():
        leak()
        yield
    """
SUITE = {
    "conftest": CONFTEST,
    "test_a": """
        import os, signal
        import pytest
        from conftest import leak

        def test_first(early): leak()
        def test_fixed(early): pass
        def test_stops(request):
            how = os.environ.get("STOP", "")
            if how == "fail": assert False
            if how == "exit": pytest.exit("enough")
            if how == "exit7": pytest.exit("enough", returncode=7)
            if how == "interrupt": signal.raise_signal(signal.SIGINT)
            if how == "shouldstop": request.session.shouldstop = "enough"
        def test_after(early, late): leak()
        """,
    "test_b": """
        from conftest import leak
        def setup_module(): leak()
        def test_last(): leak()
        """,
}
FOUND = [
    "open | fixture late (conftest.py) | conftest.py in leak | 1",
    "open | module test_b.py | conftest.py in leak | 1",
    "open | test test_a.py::test_after | conftest.py in leak | 1",
    "open | test test_a.py::test_first | conftest.py in leak | 1",
    "open | test test_b.py::test_last | conftest.py in leak | 1",
]
FIXED = "open | test test_a.py::test_fixed | conftest.py in leak | 1"
"""Ran and passed before any stop: gone in every run."""
UNKNOWN = [
    "open | class test_a.py::TestGone | conftest.py in leak | 1",
    "open | fixture early (conftest.py) | conftest.py in leak | 1",
    "open | module test_a.py | conftest.py in leak | 1",
    "open | session | conftest.py in leak | 1",
    "open | test test_a.py::test_removed | conftest.py in leak | 1",
    "open | test test_c.py::test_of_a_removed_file | conftest.py in leak | 1",
]
"""Gone only after the whole suite."""
STOPS = {
    "-x": (["-x"], "fail", 1),
    "--maxfail": (["--maxfail=1"], "fail", 1),
    "pytest.exit": ([], "exit", 2),
    "pytest.exit with a status": ([], "exit7", 7),
    "Ctrl-C": ([], "interrupt", 2),
    "a plugin stops the session": ([], "shouldstop", 2),
}
stops = pytest.mark.parametrize(("arguments", "stop", "status"), STOPS.values(), ids=STOPS)


def run(suite, *arguments, stop="", **options):
    environment = {"STOP": stop} if stop else {}
    return suite.run("--sockets-grace=0", *arguments, environment=environment, **options)


def written(suite):
    return [str(entry) for entry in read_baseline(suite.folder / "known.txt").entries]


@pytest.fixture
def listed(suite):
    """A suite whose baseline lists more than it leaks now."""
    text = "\n".join(["# pytest-sockets baseline, version 2", *FOUND, FIXED, *UNKNOWN, ""])
    return suite.write(**SUITE, known__dot__txt=text)


@stops
def test_an_update_drops_only_what_a_test_that_passed_no_longer_leaks(listed, arguments, stop, status):
    done = run(listed, "--sockets-baseline=known.txt", "--sockets-update-baseline", *arguments, stop=stop)
    assert done.exit_code == status
    assert sorted(written(listed)) == sorted([*FOUND, *UNKNOWN])


@stops
def test_a_comparison_names_only_that_one_as_gone(listed, arguments, stop, status):
    """The page has it for every status; pytest prints no summary after some of them."""
    arguments = ["--sockets-baseline=known.txt", "--sockets-report=page.html", *arguments]
    assert run(listed, *arguments, stop=stop).exit_code == status
    page = html.unescape((listed.folder / "page.html").read_text())
    assert re.findall(r"a leak that is gone: (.+\| 1)", page) == [FIXED]
    assert "lists more than there are now" not in page


def test_the_twin_a_whole_run_drops_the_rest(listed):
    run(listed, "--sockets-baseline=known.txt", "--sockets-update-baseline")
    assert sorted(written(listed)) == sorted(FOUND)


def test_a_stopped_run_with_workers_drops_nothing_it_did_not_reach(listed):
    arguments = ("--sockets-baseline=known.txt", "--sockets-update-baseline", "-x", "-n1")
    assert run(listed, *arguments, stop="fail", plugins=("xdist",)).exit_code != 0
    assert set(written(listed)) >= {*FOUND, *UNKNOWN}


@stops
def test_a_rule_for_a_test_that_did_not_run_is_not_called_unused(suite, arguments, stop, status):
    rules = ["--sockets-ignore=owner=*::test_after", "--sockets-ignore=owner=nothing"]
    done = run(suite.write(**SUITE), *rules, "--sockets-report=page.html", *arguments, stop=stop)
    assert done.exit_code == status
    assert done.owners == ["test_first"]
    assert "Ignore rules that matched nothing" not in (suite.folder / "page.html").read_text()


def test_the_twin_a_whole_run_names_the_rule_that_matched_nothing(suite):
    rules = ["--sockets-ignore=owner=*::test_after", "--sockets-ignore=owner=nothing"]
    done = run(suite.write(**SUITE), *rules, "--sockets-report=page.html")
    assert "Ignore rules that matched nothing" in (suite.folder / "page.html").read_text()
    assert done.text.count("matched nothing") == 1
    assert "the ignore rule 'owner=nothing' matched nothing: remove it" in done.text


def test_a_rule_still_ignores_what_a_stopped_run_found(suite):
    suite.write(**SUITE)
    arguments = ("-x", "--sockets-leaks=error")
    assert run(suite, *arguments, stop="fail").outcomes == {"passed": 1, "error": 1}
    done = run(suite, *arguments, "--sockets-ignore=owner=*::test_first", stop="fail")
    assert done.outcomes == {"passed": 2, "failed": 1}
    assert done.leaks == []


def test_strict_fails_no_stopped_run_for_what_it_did_not_reach(suite):
    text = "\n".join(["# pytest-sockets baseline, version 2", *FOUND, *UNKNOWN, ""])
    suite.write(**SUITE, known__dot__txt=text)
    arguments = ("--sockets-baseline=known.txt", "--sockets-leaks=error", "--sockets-baseline-strict")
    assert "is out of date" not in run(suite, *arguments, "-x", stop="fail").text
    assert "is out of date" in run(suite, *arguments).text  # the twin
