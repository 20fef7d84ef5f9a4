"""The gate of real suites lets equal runs pass and stops each kind of difference."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))

from real_suites import SUITES, Done, compare, faults_of

PASSED = Done({"test_a": ("passed",), "test_b": ("failed",)}, 1.0, 1.0, 1, [], "")


def test_equal_runs_have_no_fault():
    assert faults_of([PASSED], [PASSED]) == []
    assert compare([PASSED], [PASSED]) == ([], [])


@pytest.mark.parametrize(
    ("change", "fault"),
    [({"exit_code": -11}, "signal 11"), ({"exit_code": 0}, "exit status")],
)
def test_a_signal_and_another_exit_status_are_faults(change, fault):
    assert fault in " ".join(faults_of([PASSED], [dataclasses.replace(PASSED, **change)]))


def test_a_suite_without_tests_is_a_fault():
    nothing = dataclasses.replace(PASSED, outcomes={})
    assert "no test ran" in faults_of([nothing], [nothing])[0]


@pytest.mark.parametrize(
    "outcomes", [{"test_a": ("failed",), "test_b": ("failed",)}, {"test_b": ("failed",)}]
)
def test_another_or_missing_outcome_is_a_change(outcomes):
    changed, _ = compare([PASSED], [dataclasses.replace(PASSED, outcomes=outcomes)])
    assert [line.partition(":")[0] for line in changed] == ["test_a"]


def test_the_suites_that_crashed_the_interpreter_are_in_the_gate():
    assert {(suite.title, suite.gate) for suite in SUITES if suite.gate} >= {
        ("tornado 6.6.1", "3.12"),
        ("aiosmtpd 1.4.6", "3.11"),
    }
