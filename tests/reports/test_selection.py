"""The baseline after a run of a part of the suite: one table for every way to select tests."""

from __future__ import annotations

import importlib.util

import pytest

from pytest_sockets.reports.baseline import read_baseline

SUITE = {
    "conftest": """
        import socket
        import pytest
        KEPT = []

        @pytest.fixture(scope="session")
        def pool():
            KEPT.append(socket.create_server(("127.0.0.1", 0)))

        @pytest.fixture
        def client():
            KEPT.append(socket.create_server(("127.0.0.1", 0)))
        """,
    "test_a": """
        import socket
        from conftest import KEPT

        def test_1(pool): KEPT.append(socket.create_server(("127.0.0.1", 0)))
        def test_2(client): pass
        def test_3(client): pass
        """,
    "test_b": """
        import socket
        from conftest import KEPT

        def test_4(client): KEPT.append(socket.create_server(("127.0.0.1", 0)))
        def test_5(client): assert True
        def test_6(): pass
        """,
}
KNOWN = [
    "open | fixture client (conftest.py) | conftest.py in client | 4  # JIRA-1",
    "open | fixture pool (conftest.py) | conftest.py in pool | 1",
    "open | test test_a.py::test_1 | test_a.py in test_1 | 1  # JIRA-2",
    "open | test test_b.py::test_4 | test_b.py in test_4 | 1",
]
FIXED = "open | test test_a.py::test_2 | test_a.py in test_2 | 1"
"""A leak that the suite no longer has."""
GONE_FIXTURE = "open | fixture pool (conftest.py) | conftest.py in connect | 1"
DROPPING = """
    def pytest_collection_modifyitems(items):
        del items[1::2]
    """
IGNORING = """
    def pytest_ignore_collect(collection_path):
        return True if collection_path.name == "test_b.py" else None
    """
LATE = """
    def pytest_collection_finish(session):
        del session.items[3:]
    """
SELECTIONS = {
    "whole": ([], {}, True, True),
    "xdist": (["-n2"], {}, True, True),
    "xdist by file": (["-n2", "--dist=loadfile"], {}, True, True),
    "-k": (["-k", "test_1 or test_2"], {}, True, False),
    "-k without it": (["-k", "test_4"], {}, False, False),
    "-k under xdist": (["-n2", "-k", "test_4"], {}, False, False),
    "-x": (["-x", "--maxfail=1", "test_a.py::test_2", "test_b.py"], {}, True, False),
    "a file": (["test_b.py"], {}, False, False),
    "one test": (["test_a.py::test_2"], {}, True, False),
    "--deselect": (["--deselect=test_a.py::test_2"], {}, False, False),
    "--ignore": (["--ignore=test_a.py"], {}, False, False),
    "split 1": (["--splits=2", "--group=1"], {"plugin": "pytest_split.plugin"}, True, False),
    "split 2": (["--splits=2", "--group=2"], {"plugin": "pytest_split.plugin"}, False, False),
    "shard 0": (["-v", "--num-shards=2", "--shard-id=0"], {"plugin": "pytest_shard.pytest_shard"}, None, False),
    "shard 1": (["-v", "--num-shards=2", "--shard-id=1"], {"plugin": "pytest_shard.pytest_shard"}, None, False),
    "groups 1": (["-v", "--test-group-count=2", "--test-group=1"], {"plugin": "pytest_test_groups"}, None, False),
    "groups 2": (["-v", "--test-group-count=2", "--test-group=2"], {"plugin": "pytest_test_groups"}, None, False),
    "a conftest that drops items": ([], {"conftest": DROPPING}, False, False),
    "the same under xdist": (["-n2"], {"conftest": DROPPING}, False, False),
    "a conftest that ignores files": ([], {"conftest": IGNORING}, True, False),
    "a conftest that shortens the session's list": ([], {"conftest": LATE}, True, False),
}  # fmt: skip
"""Arguments, files that the suite needs, whether test_2 runs, and whether the whole suite runs."""


def write(suite, lines, conftest=""):
    files = dict(SUITE)
    if conftest:
        import textwrap

        files["conftest"] = textwrap.dedent(files["conftest"]) + textwrap.dedent(conftest)
    text = "\n".join(["# pytest-sockets baseline, version 2", *lines, ""])
    return suite.write(**files, known__dot__txt=text)


def entries(suite):
    return [
        f"{entry}  # {entry.comment}" if entry.comment else str(entry)
        for entry in read_baseline(suite.folder / "known.txt").entries
    ]


@pytest.mark.slow
@pytest.mark.parametrize("update", [False, True], ids=["compare", "update"])
@pytest.mark.parametrize("name", SELECTIONS)
def test_no_selection_loses_what_it_did_not_run(suite, name, update):
    arguments, needs, runs_it, is_whole = SELECTIONS[name]
    plugin = needs.get("plugin")
    if plugin and importlib.util.find_spec(plugin.partition(".")[0]) is None:
        pytest.skip(f"{plugin} is not installed")
    plugins = [plugin] if plugin else []
    if any(argument.startswith("-n") for argument in arguments):
        plugins.append("xdist")
    write(suite, [*KNOWN, FIXED, GONE_FIXTURE], needs.get("conftest", ""))
    done = suite.run(
        "--sockets-baseline=known.txt", "--sockets-grace=0",
        *(["--sockets-update-baseline"] if update else ["--sockets-leaks=error"]), *arguments, plugins=tuple(plugins),
    )  # fmt: skip
    assert done.exit_code == 0, done.text
    gone = [line for line in (FIXED, GONE_FIXTURE) if _is_gone(line, runs_it, is_whole)]
    if runs_it is None:  # the plugin decides in which part the test is
        gone = [FIXED] if "test_a.py::test_2 PASSED" in done.text else []
    if update:
        assert sorted(entries(suite)) == sorted({*KNOWN, FIXED, GONE_FIXTURE} - set(gone))
    else:
        shown = [line.partition(": ")[2] for line in done.text.splitlines() if "a leak that is gone" in line]
        assert sorted(shown) == sorted(gone)
        assert "lists more than there are now" not in done.text


def _is_gone(line, runs_it, is_whole):
    return bool(is_whole) if line == GONE_FIXTURE else bool(runs_it)


def test_a_count_that_grew_fails_and_names_the_new_leak_only(suite):
    lines = [line.replace("| 4 ", "| 3 ") for line in KNOWN]
    done = write(suite, lines).run(
        "--sockets-baseline=known.txt", "--sockets-leaks=error", "--sockets-grace=0"
    )
    assert done.outcomes == {"passed": 6, "error": 1}
    assert [leak["known"] for leak in done.leaks].count(False) == 1
    assert done.report["totals"]["leaked"] == 1
    assert done.report["totals"]["known"] == 6


@pytest.mark.slow
def test_a_count_that_grew_over_two_workers_fails_the_run(suite):
    """Neither worker finds more than the baseline lists; together they do."""
    lines = [line.replace("| 4 ", "| 3 ") for line in KNOWN]
    done = write(suite, lines).run(
        "--sockets-baseline=known.txt",
        "--sockets-leaks=error",
        "--sockets-grace=0",
        "-n2",
        plugins=("xdist",),
    )
    assert done.exit_code == 1
    assert done.report["totals"]["leaked"] == 1


def test_strict_fails_for_what_is_gone_and_passes_without(suite):
    write(suite, [*KNOWN, FIXED])
    arguments = ("--sockets-baseline=known.txt", "--sockets-leaks=error", "--sockets-grace=0")
    assert suite.run(*arguments).exit_code == 0
    strict = suite.run(*arguments, "--sockets-baseline-strict")
    assert strict.exit_code == 1
    assert "The run fails: the baseline is out of date" in strict.text
    write(suite, KNOWN)
    assert suite.run(*arguments, "--sockets-baseline-strict").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [(("--sockets-kinds=udp",), True), (("--sockets-kinds=tcp,udp",), False)],
    ids=["kinds", "twin"],
)
def test_what_was_not_looked_for_is_kept(suite, arguments, kept):
    write(suite, [*KNOWN, FIXED])
    suite.run("--sockets-baseline=known.txt", "--sockets-update-baseline", "--sockets-grace=0", *arguments)
    assert (FIXED in entries(suite)) is kept
    assert set(entries(suite)) >= set(KNOWN)


def test_an_update_with_the_mode_off_is_refused(suite):
    done = write(suite, KNOWN).run(
        "--sockets-baseline=known.txt", "--sockets-update-baseline", "--sockets-leaks=off", report=False
    )
    assert done.exit_code == 4
    assert "command line, --sockets-leaks: the mode is off, so the baseline cannot be updated" in done.text
    assert entries(suite) == KNOWN


def test_lf_says_nothing_of_the_rest(suite):
    write(suite, [*KNOWN, FIXED])
    suite.write(test_c="def test_fails(): assert False")
    cache = ("-p", "cacheprovider")
    arguments = ("--sockets-baseline=known.txt", "--sockets-grace=0", *cache)
    suite.run(*arguments)
    done = suite.run("--lf", "--sockets-update-baseline", *arguments)
    assert done.outcomes == {"failed": 1}
    assert set(entries(suite)) == {*KNOWN, FIXED}


def test_a_version_1_file_covers_and_is_upgraded(suite):
    suite.write(**SUITE)
    old = [
        "# pytest-sockets baseline, version 1",
        "open | fixture client (function) | conftest.py in client",
        "open | fixture pool (session) | conftest.py in pool",
        "open | test test_a.py::test_1 | test_a.py in test_1",
        "open | test test_b.py::test_4 | test_b.py in test_4",
    ]
    (suite.folder / "known.txt").write_text("\n".join(old) + "\n")
    arguments = ("--sockets-baseline=known.txt", "--sockets-leaks=error", "--sockets-grace=0")
    assert suite.run(*arguments).exit_code == 0
    suite.run(*arguments, "--sockets-update-baseline")
    assert entries(suite) == [line.partition("  #")[0] for line in KNOWN]
