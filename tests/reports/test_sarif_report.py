"""The SARIF report is valid, has the opening line, and says what the run did not look for."""

from __future__ import annotations

import json

import pytest

from pytest_sockets.leaks.findings import Frame
from pytest_sockets.reports.run import Environment, Mode, Run
from pytest_sockets.reports.sarif_report import render_sarif


@pytest.fixture
def report(finding_factory, tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "net.py").touch()
    findings = [
        finding_factory(place=("lib/net.py", 4, "open"), stack=(Frame("/x/s.py", 1, "f"), Frame("lib/net.py", 4, "o"))),
        finding_factory(owner="pool \udcff", owner_kind="fixture", kind="unclosed", place=None, known=True),
        finding_factory(owner="tests/t.py", owner_kind="import", process="nginx \x1b", place=None, annotations={"t": "a"}),
    ]  # fmt: skip
    where = Environment(rootdir=str(tmp_path), started=1_795_867_200.0, duration=3.0, command=("pytest",))
    return json.loads(render_sarif(Run("0.1.0", Mode("error"), where, findings=findings), {}))


def test_it_is_valid(report):
    sarif = pytest.importorskip("sarif_pydantic")
    sarif.Sarif.model_validate(report)


def test_the_validator_refuses_what_is_not_valid(report):
    """The twin of the test before."""
    sarif = pytest.importorskip("sarif_pydantic")
    del report["runs"][0]["tool"]["driver"]["name"]
    with pytest.raises(ValueError, match="name"):
        sarif.Sarif.model_validate(report)


def test_a_result_has_the_opening_line_and_the_owner(report):
    by_owner = {
        result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"]: result
        for result in report["runs"][0]["results"]
    }
    result = by_owner["tests/test_api.py::test_upload"]
    assert result["level"] == "error"
    assert result["ruleId"] == "open"
    assert result["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "lib/net.py", "uriBaseId": "SRCROOT"},
        "region": {"startLine": 4},
    }
    assert result["locations"][0]["logicalLocations"][0] == {
        "name": "test_upload", "fullyQualifiedName": "tests/test_api.py::test_upload", "kind": "function",
    }  # fmt: skip


def test_known_leaks_are_notes_that_are_not_new(report):
    [known] = [result for result in report["runs"][0]["results"] if result["baselineState"] == "unchanged"]
    assert known["level"] == "note"
    assert "physicalLocation" not in known["locations"][0]


def test_what_was_not_looked_for_is_a_notification(report):
    [invocation] = report["runs"][0]["invocations"]
    texts = [one["message"]["text"] for one in invocation["toolExecutionNotifications"]]
    assert "Unix sockets were not looked for (--sockets-kinds=tcp,udp)." in texts
    assert invocation["startTimeUtc"] == "2026-11-28T12:00:00Z"
    assert (
        json.loads(render_sarif(Run("1", Mode("off"))))["runs"][0]["invocations"][0]["executionSuccessful"]
        is False
    )


def test_a_fingerprint_stays_when_lines_and_ports_change(finding_factory):
    def fingerprint(**change):
        run = Run("1", findings=[finding_factory(**change)])
        return json.loads(render_sarif(run))["runs"][0]["results"][0]["partialFingerprints"]

    moved = {"place": ("tests/test_api.py", 99, "test_upload"), "local": ("127.0.0.1", 1)}
    assert fingerprint(**moved) == fingerprint()
    assert fingerprint(kind="unclosed") != fingerprint()
