"""conftest files and other plugins can drop and annotate findings, and receive the whole run."""

from __future__ import annotations

import json

import pytest

LEAKS = """
    import socket
    KEPT = []
    def test_one(): KEPT.append(socket.create_server(("127.0.0.1", 0)))
    def test_two(): KEPT.append(socket.create_server(("127.0.0.1", 0)))
    """
DROPS = """
    def pytest_sockets_finding(finding, config):
        assert config.rootpath
        if finding.owner_name.endswith("test_one"):
            return False
        finding.annotations["team"] = "search"
    """
REPORTS = """
    import json
    def pytest_sockets_report(report, config):
        (config.rootpath / "hooked.json").write_text(json.dumps(report))
    """


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["one process", "xdist"])
def test_a_finding_is_dropped_or_annotated_before_it_is_judged(suite, workers):
    suite.write(test_a=LEAKS, conftest=DROPS)
    plugins = ("xdist",) if workers else ()
    done = suite.run("--sockets-leaks=error", "--sockets-grace=0", *workers, plugins=plugins)
    assert done.outcomes == {"passed": 2, "error": 1}
    assert done.owners == ["test_two"]
    assert done.leaks[0]["annotations"] == {"team": "search"}
    assert done.report["totals"]["ignored"] == 1
    assert "team       search" in done.text
    assert "1 leak ignored: 1 by 'hook pytest_sockets_finding'." in done.text


def test_the_twin_without_a_hook_both_are_there(suite):
    done = suite.write(test_a=LEAKS).run("--sockets-leaks=error", "--sockets-grace=0")
    assert done.outcomes == {"passed": 2, "error": 2}


def test_a_hook_of_a_folder_sees_the_findings_of_that_folder(suite):
    for name, conftest in (("one", DROPS), ("two", "")):
        (suite.folder / name).mkdir()
        suite.write(**{f"{name}/test_{name}": LEAKS, f"{name}/conftest": conftest})
    done = suite.run("--sockets-grace=0")
    assert [leak["nodeid"] for leak in done.leaks] == [
        "one/test_one.py::test_two", "two/test_two.py::test_one", "two/test_two.py::test_two",
    ]  # fmt: skip


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["one process", "xdist"])
def test_the_whole_run_is_received_once_without_a_report_file(suite, workers):
    suite.write(test_a=LEAKS, conftest=REPORTS)
    plugins = ("xdist",) if workers else ()
    done = suite.run("--sockets-grace=0", *workers, plugins=plugins, report=False)
    assert done.exit_code == 0
    report = json.loads((suite.folder / "hooked.json").read_text())
    assert report["schema"] == 2
    assert report["totals"]["leaked"] == 2


def test_a_clean_run_is_received_too(suite):
    suite.write(test_a="def test_one(): pass", conftest=REPORTS).run(report=False)
    assert json.loads((suite.folder / "hooked.json").read_text())["totals"]["leaked"] == 0


@pytest.mark.parametrize("hook", ["pytest_sockets_finding(finding)", "pytest_sockets_report(report)"])
def test_a_hook_that_fails_changes_no_outcome_and_is_named(suite, hook):
    suite.write(test_a=LEAKS, conftest=f"def {hook}: raise RuntimeError('broken')")
    done = suite.run("--sockets-grace=0")
    assert done.exit_code == 0
    assert done.outcomes == {"passed": 2}
    assert len(done.leaks) == 2
    assert f"a {hook.partition('(')[0]} hook failed: RuntimeError: broken" in done.text
