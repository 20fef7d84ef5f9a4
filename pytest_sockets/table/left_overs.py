"""Find processes that an interrupted or killed pytest run left behind.

pytest names the running test in the environment (PYTEST_CURRENT_TEST), and every process that the test starts inherits
it. Such a process is left over once its run has ended: its parent is then init or another reaper.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from pytest_sockets.table import processes

if TYPE_CHECKING:
    from pytest_sockets.table.processes import ProcessFacts

REAPERS: Final = ("systemd", "launchd", "tini", "dumb-init", "catatonit", "docker-init", "containerd-shim")
_DEEPEST: Final = 50


def left_overs() -> list[ProcessFacts]:
    """Return every left-over process that this user can inspect, oldest first."""
    tests = (facts for pid in processes.pids() if (facts := processes.facts(pid)).test)
    return sorted(filter(is_left_over, tests), key=lambda facts: facts.started or 0.0)


def is_left_over(facts: ProcessFacts) -> bool:
    """Whether a test started this process, and the run of that test has ended."""
    if not facts.test or facts.status == "zombie":
        return False
    first = _first_of_its_test(facts)
    return first.parent is not None and _was_adopted(first)


def _first_of_its_test(facts: ProcessFacts) -> ProcessFacts:
    """Return the ancestor that the test started itself: a shell in between has the same environment."""
    for _ in range(_DEEPEST):
        if facts.parent is None:
            break
        parent = processes.facts(facts.parent)
        if parent.test != facts.test or parent.worker != facts.worker:
            break
        facts = parent
    return facts


def _was_adopted(child: ProcessFacts) -> bool:
    """Whether the current parent is not the process that started `child`."""
    assert child.parent is not None
    parent = processes.facts(child.parent)
    if parent.started is None:
        return parent.name is None  # Windows keeps the id of a parent that has ended
    if child.started is not None and parent.started > child.started + 1:
        return True  # a later process has the parent's id
    if "pytest" in (parent.command_line or ""):
        return False  # in a container, pytest itself can be process 1
    if child.parent == 1 or parent.name in REAPERS:
        return True
    # A child inherits the session of the process that starts it, unless it begins one of its own.
    session = _session(child.pid)
    return session not in (None, child.pid) and session != _session(parent.pid)


def _session(pid: int) -> int | None:
    if sys.platform == "win32":
        return None
    try:
        return os.getsid(pid)
    except OSError:  # the process has ended
        return None
