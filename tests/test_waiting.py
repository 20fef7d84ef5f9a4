"""Our clocks go on when a suite stops the ones it knows."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import time
import types

import pytest

import pytest_sockets
from pytest_sockets import originals, waiting
from pytest_sockets.leaks import process_start

CLOCKS = [getattr(time, name) for name in ("time", "monotonic", "perf_counter", "time_ns", "monotonic_ns")]


def every_module_of_ours():
    for found in pkgutil.walk_packages(pytest_sockets.__path__, "pytest_sockets."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    return [module for name, module in sys.modules.items() if name.startswith("pytest_sockets")]


def replace_clocks(monkeypatch, modules):
    """What freezegun does: whatever is a function of `time`, in any module, under any name. Returns what was found."""
    found = []
    for module in modules:
        for name, value in list(vars(module).items()):
            if any(value is clock for clock in CLOCKS):
                monkeypatch.setattr(module, name, lambda *_: 1.0)
                found.append(f"{module.__name__}.{name}")
    for clock in CLOCKS:
        monkeypatch.setattr(time, clock.__name__, lambda *_: 1.0)
    return found


@pytest.fixture
def frozen(monkeypatch):
    assert replace_clocks(monkeypatch, every_module_of_ours()) == []
    assert time.monotonic() == 1.0


def test_the_replacement_finds_a_clock_under_any_name(monkeypatch):
    module = types.ModuleType("of_a_user")
    module.ticks = time.monotonic
    assert replace_clocks(monkeypatch, [module]) == ["of_a_user.ticks"]
    assert module.ticks() == 1.0


def test_our_clocks_are_the_interpreters():
    for ours, theirs in ((originals.monotonic, time.monotonic), (originals.wall_clock, time.time)):
        before = theirs()
        assert before <= ours() <= theirs()


@pytest.mark.usefixtures("frozen")
def test_a_wait_ends_at_its_deadline():
    looks = []
    assert not waiting.wait_until(lambda: looks.append(1), 0.02)
    assert 2 <= len(looks) < 40


@pytest.mark.usefixtures("frozen")
@pytest.mark.skipif(sys.platform != "linux", reason="births are read from /proc")
def test_a_birth_lies_in_the_past_of_our_clock():
    now = originals.monotonic()
    birth = process_start.birth_of(os.getpid())
    assert birth.parent == os.getppid()
    assert 0 < now - birth.at < 3600
