"""The start time and parent of a process, which distinguish it from a later process with the same pid."""

from __future__ import annotations

import os
from typing import Final, NamedTuple

from pytest_sockets.originals import boot_time, monotonic
from pytest_sockets.table import proc

TICK: Final = 2 / os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0.0
"""The possible error of a start time in seconds: the kernel counts it, and the present time, in ticks of 10 ms."""


class Birth(NamedTuple):
    """The start time `at` in monotonic seconds, and the current parent: 1 or a reaper's pid after adoption."""

    at: float
    parent: int


def birth_of(pid: int) -> Birth | None:
    """Return the start of the process; None if it has ended, or if this system has no /proc."""
    if boot_time is None:
        return None
    stat = proc.birth(pid)
    if stat is None:
        return None
    age = boot_time() - stat.start / os.sysconf("SC_CLK_TCK")
    return Birth(monotonic() - age, stat.parent)
