"""Hostile tests have the outcomes that they have without the plugin; `hostile_soak.py` does the same for half an hour."""

from __future__ import annotations

import random

import pytest

from tests.proof import hostile_soak

pytestmark = [pytest.mark.proof, pytest.mark.slow]


@pytest.mark.timeout(300)
def test_every_hostile_action_keeps_its_outcome():
    names = hostile_soak.actions()
    plan = [*names, *random.Random(7).sample(names, len(names))]
    assert hostile_soak.compare(plan) == []


def test_the_comparison_reports_a_changed_outcome(monkeypatch):
    """The twin: a plan whose second run differs is reported, test by test."""
    real, runs = hostile_soak.run, []

    def different(folder, plan, *options):
        runs.append(options)
        return real(folder, ["raises_base_exception"] if len(runs) == 2 else plan, *options)

    monkeypatch.setattr(hostile_soak, "run", different)
    found = hostile_soak.compare(["clean"])
    assert len(found) == 2
    assert "exit status 1, without the plugin 0" in found[0]
