"""The report for machines has the shape of INTERFACE and says the same thing whatever order findings came in."""

import json
import random

from pytest_sockets.leaks.findings import Frame
from pytest_sockets.reports.json_report import render_json
from pytest_sockets.reports.run import Run


def run_of(*findings):
    return Run("0.1.0", "error", tests_seen=120, opened_sockets=14, findings=list(findings))


def test_a_leak_has_every_key_of_schema_1_and_no_other(finding_factory):
    finding = finding_factory(
        worker="gw0", held_by=("a list",), note="kept", stack=(Frame("tests/test_api.py", 41, "test_upload"),)
    )
    report = json.loads(render_json(run_of(finding)))
    assert list(report) == ["schema", "pytest_sockets", "mode", "tests", "leaks"]
    assert report["schema"] == 1
    assert report["tests"] == {"seen": 120, "opened_sockets": 14, "leaking": 1}
    assert report["leaks"] == [
        {
            "kind": "open",
            "nodeid": "tests/test_api.py::test_upload",
            "owner": {"kind": "test", "name": "tests/test_api.py::test_upload", "scope": "function", "phase": "call"},
            "socket": {
                "protocol": "tcp", "family": "AF_INET", "local": ["127.0.0.1", 40001], "remote": None,
                "status": "LISTEN", "fd": 9, "inode": 12345, "pid": 4242, "process": None,
            },
            "opened_at": {"file": "tests/test_api.py", "line": 41, "function": "test_upload"},
            "stack": [{"file": "tests/test_api.py", "line": 41, "function": "test_upload"}],
            "worker": "gw0",
        }
    ]  # fmt: skip


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
    """The twin of the test before: equality there is not for want of content."""
    assert render_json(run_of(finding_factory())) != render_json(run_of(finding_factory(status="CLOSE")))


def test_a_name_that_no_encoding_knows_is_still_written(finding_factory):
    text = render_json(run_of(finding_factory(owner="tests/test_a.py::test_x[\udcff\U0001f600]")))
    assert text.isascii()
    assert json.loads(text)["leaks"][0]["owner"]["name"].endswith("[\udcff\U0001f600]")
