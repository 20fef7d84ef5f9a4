"""When a process began, and whose child it is: what tells one process from a later one with the same pid."""

from __future__ import annotations

import os
from typing import Final, NamedTuple

from pytest_sockets.originals import RealOs, boot_time, monotonic

TICK: Final = 2 / os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0.0
"""Seconds by which a birth may be wrong: the kernel tells it in ticks of 10 ms, and so is the question's moment."""


class Birth(NamedTuple):
    """`at` is monotonic; `parent` the pid of the parent now, 1 or a reaper's if init has adopted it."""

    at: float
    parent: int


def birth_of(pid: int) -> Birth | None:
    """None where it is not told: the process has gone, or there is no /proc."""
    if boot_time is None:
        return None
    try:
        fields = RealOs.content(f"/proc/{pid}/stat").rpartition(b")")[2].split()
        age = boot_time() - int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return Birth(monotonic() - age, int(fields[1]))
    except (OSError, ValueError, IndexError):
        return None
