"""The JSON report has the documented shape and does not depend on the order of findings."""

import json
import random

from pytest_sockets.leaks.findings import Frame
from pytest_sockets.reports.json_report import render_json
from pytest_sockets.reports.run import Environment, Mode, Run


def run_of(*findings, mode="error"):
    where = Environment(
        pytest="9.2.0", python="3.14.0", started=1_795_867_200.0, duration=12.5, command=("pytest", "-x")
    )
    return Run(
        "0.1.0",
        Mode(mode),
        where,
        tests_seen=120,
        opened_sockets=14,
        opened_total=1680,
        findings=list(findings),
    )


def test_a_report_has_every_key_of_schema_2_and_no_other(finding_factory):
    finding = finding_factory(
        worker="gw0", held_by=("a list",), note="kept", stack=(Frame("tests/test_api.py", 41, "test_upload"),),
        owner_file="tests/test_api.py", owner_line=40, owner_parameter="'a'", opened=1_795_867_200.8,
        owner_ended=1_795_867_201.1, known=True,
    )  # fmt: skip
    run = run_of(finding)
    run.ignored, run.collected = {"remote=*": 2}, 56
    report = json.loads(render_json(run))
    leaks = report.pop("leaks")
    assert report == {
        "schema": 2, "pytest_sockets": "0.1.0", "pytest": "9.2.0", "python": "3.14.0", "platform": "linux",
        "started": "2026-11-28T12:00:00+00:00", "duration_s": 12.5, "command": ["pytest", "-x"],
        "mode": {"leaks": "error", "unclosed": "off", "kinds": ["tcp", "udp"], "scope": "tree", "grace": 0.5},
        "tests": {"seen": 120, "opened_sockets": 14, "leaking": 1},
        "totals": {"opened": 1680, "leaked": 0, "known": 1, "ignored": 2, "collected": 56},
    }  # fmt: skip
    assert leaks == [
        {
            "kind": "open", "known": True,
            "nodeid": "tests/test_api.py::test_upload",
            "owner": {
                "kind": "test", "name": "tests/test_api.py::test_upload", "scope": "function", "phase": "call",
                "file": "tests/test_api.py", "line": 40, "parameter": "'a'",
            },
            "socket": {
                "protocol": "tcp", "family": "AF_INET", "local": ["127.0.0.1", 40001], "remote": None,
                "status": "LISTEN", "fd": 9, "inode": 12345, "pid": 4242, "process": None,
            },
            "opened_at": {"file": "tests/test_api.py", "line": 41, "function": "test_upload"},
            "stack": [{"file": "tests/test_api.py", "line": 41, "function": "test_upload"}],
            "held_by": ["a list"],
            "advice": "close the server also when the test fails: `with` or a fixture with `yield`",
            "opened_s": 0.8, "owner_ended_s": 1.1,
            "worker": "gw0",
        }
    ]  # fmt: skip


def test_leaked_is_null_where_nothing_was_looked_for():
    assert json.loads(render_json(run_of(mode="off")))["totals"]["leaked"] is None
    assert json.loads(render_json(run_of(mode="warn")))["totals"]["leaked"] == 0


def test_annotations_of_a_hook_are_a_key_of_their_own(finding_factory):
    report = json.loads(render_json(run_of(finding_factory(annotations={"team": "search"}))))
    assert report["leaks"][0]["annotations"] == {"team": "search"}


def test_a_clean_run_is_a_report_too():
    assert json.loads(render_json(run_of()))["leaks"] == []


def test_the_order_of_arrival_does_not_show(finding_factory):
    findings = [
        finding_factory(owner=f"tests/test_{name}.py::test_x", local=("127.0.0.1", port), worker=worker)
        for name, port, worker in (("b", 3, "gw0"), ("a", 2, "gw1"), ("a", 1, None), ("c", 9, "gw0"))
    ]
    first = render_json(run_of(*findings))
    random.Random(1).shuffle(findings)
    assert render_json(run_of(*findings)) == first


def test_a_different_finding_does_show(finding_factory):
    """The twin of the test before: equal reports are not just empty."""
    assert render_json(run_of(finding_factory())) != render_json(run_of(finding_factory(status="CLOSE")))


def test_a_name_that_no_encoding_knows_is_still_written(finding_factory):
    text = render_json(run_of(finding_factory(owner="tests/test_a.py::test_x[\udcff\U0001f600]")))
    assert text.isascii()
    assert json.loads(text)["leaks"][0]["owner"]["name"].endswith("[\udcff\U0001f600]")
