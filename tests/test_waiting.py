"""Our clocks go on when a suite stops the ones it knows."""

from __future__ import annotations

import asyncio
import importlib
import os
import pkgutil
import sys
import time
import types

import pytest
import trio

import pytest_sockets
from pytest_sockets import originals, waiting
from pytest_sockets.errors import QueryError, QueryTypeError
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


class TestBackOff:
    """The one loop behind every wait."""

    def test_pauses_double_up_to_the_longest_and_the_last_ends_at_the_deadline(self):
        now = [100.0]
        seen = []
        for pause in waiting.pauses(0.05, clock=lambda: now[0], first=0.001, longest=0.01):
            seen.append(pause)
            now[0] += pause
        assert seen == pytest.approx([0.001, 0.002, 0.004, 0.008, 0.01, 0.01, 0.01, 0.005])
        assert list(waiting.pauses(0, clock=lambda: 1.0)) == []

    def test_without_arguments_they_begin_at_one_millisecond_and_end_at_fifty(self):
        now = [0.0]
        seen = []
        for pause in waiting.pauses(1, clock=lambda: now[0]):
            seen.append(pause)
            now[0] += pause
        assert (seen[0], max(seen)) == (0.001, 0.05)

    def test_a_wait_ends_with_the_first_true_answer_and_looks_no_more(self):
        answers = [0, "", "yes", "never asked"]
        assert waiting.wait_until(lambda: answers.pop(0), 5, sleep=lambda _: None) == "yes"
        assert answers == ["never asked"]

    def test_a_true_first_answer_costs_no_pause(self):
        slept = []
        assert waiting.wait_until(lambda: 7, 5, sleep=slept.append) == 7
        assert slept == []

    def test_the_last_false_answer_is_returned(self):
        assert waiting.wait_until(list, 0.002) == []

    @pytest.mark.parametrize("asynchronous", [False, True])
    @pytest.mark.parametrize("loop", ["asyncio", "trio"])
    def test_the_async_twin_does_the_same_in_either_loop(self, loop, asynchronous):
        answers = [0, "", "yes", "never asked"]

        async def look():
            return answers.pop(0)

        async def main():
            assert waiting.running_loop() == loop
            found = await waiting.async_wait_until(look if asynchronous else lambda: answers.pop(0), 5)
            assert await waiting.async_wait_until(list, 0.002) == []
            return found

        assert (asyncio.run(main()) if loop == "asyncio" else trio.run(main)) == "yes"
        assert answers == ["never asked"]
        assert waiting.running_loop() is None


class TestTimeouts:
    @pytest.mark.parametrize("value", [0, 0.0, 1, 2.5, 1e9])
    def test_a_number_of_seconds_is_a_float(self, value):
        assert type(waiting.checked_timeout(value)) is float
        assert waiting.checked_timeout(value) == value

    @pytest.mark.parametrize("value", [-1, -0.5, -0.001, float("inf"), float("nan")])
    def test_a_wrong_number_is_refused(self, value):
        with pytest.raises(QueryError, match=r"is not a number of seconds; use 0 or more, such as 5\.0$"):
            waiting.checked_timeout(value)

    @pytest.mark.parametrize("value", [True, False, None, "1", 1j])
    def test_what_is_not_a_number_is_named_with_its_type(self, value):
        with pytest.raises(QueryTypeError) as caught:
            waiting.checked_timeout(value)
        assert str(caught.value).startswith(f"{value!r} ({type(value).__name__}) is not a number of seconds")
