"""Processes that a pytest run started and did not stop before it was interrupted or killed.

pytest names the running test in the environment (PYTEST_CURRENT_TEST), and every process that the test starts inherits it.
Such a process is left over once the run that started it is gone: init, or a reaper in its place, is its parent then.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from pytest_sockets.table import processes

if TYPE_CHECKING:
    from pytest_sockets.table.processes import ProcessFacts

REAPERS: Final = ("systemd", "launchd", "tini", "dumb-init", "catatonit", "docker-init", "containerd-shim")
_DEEPEST: Final = 50


def left_overs() -> list[ProcessFacts]:
    """Return every left-over process that this user may look at, the oldest first."""
    tests = (facts for pid in processes.pids() if (facts := processes.facts(pid)).test)
    return sorted(filter(is_left_over, tests), key=lambda facts: facts.started or 0.0)


def is_left_over(facts: ProcessFacts) -> bool:
    """Whether a test started this process, and the run of that test is gone."""
    if not facts.test or facts.status == "zombie":
        return False
    first = _first_of_its_test(facts)
    return first.parent is not None and _was_adopted(first)


def _first_of_its_test(facts: ProcessFacts) -> ProcessFacts:
    """Return the ancestor that the test started itself: a shell between them has the same environment."""
    for _ in range(_DEEPEST):
        if facts.parent is None:
            break
        parent = processes.facts(facts.parent)
        if parent.test != facts.test or parent.worker != facts.worker:
            break
        facts = parent
    return facts


def _was_adopted(child: ProcessFacts) -> bool:
    """Whether the parent of now is not the process that started `child`."""
    assert child.parent is not None
    parent = processes.facts(child.parent)
    if parent.started is None:
        return parent.name is None  # Windows keeps the number of a parent that is gone
    if child.started is not None and parent.started > child.started + 1:
        return True  # the number was given to a later process
    if "pytest" in (parent.command_line or ""):
        return False  # in a container, pytest itself can be process 1
    if child.parent == 1 or parent.name in REAPERS:
        return True
    # A child inherits the session of the process that starts it, unless it begins one of its own.
    session = _session(child.pid)
    return session not in (None, child.pid) and session != _session(parent.pid)


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (AttributeError, OSError):  # Windows; a vanished process
        return None
