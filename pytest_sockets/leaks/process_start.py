"""When a process began, and whose child it is: what tells one process from a later one with the same pid."""

from __future__ import annotations

import os
from typing import Final, NamedTuple

from pytest_sockets.originals import boot_time, monotonic
from pytest_sockets.table import proc

TICK: Final = 2 / os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0.0
"""Seconds by which a start time may be wrong: the kernel counts it in ticks of 10 ms, and the present time too."""


class Birth(NamedTuple):
    """`at` is monotonic; `parent` the pid of the parent now, 1 or a reaper's if init has adopted it."""

    at: float
    parent: int


def birth_of(pid: int) -> Birth | None:
    """Return None if the process has ended, or if this system has no /proc."""
    if boot_time is None:
        return None
    stat = proc.birth(pid)
    if stat is None:
        return None
    age = boot_time() - stat.start / os.sysconf("SC_CLK_TCK")
    return Birth(monotonic() - age, stat.parent)
