"""Which hub serves this process? The first server makes it; a fork and a stuck thread abandon it."""

from __future__ import annotations

import os
import sys

from pytest_sockets.originals import allocate_lock
from pytest_sockets.servers.hub import Hub

_creating = allocate_lock()
_current: Hub | None = None
_stuck: list[Hub] = []
"""Hubs that were given up; a forked child has their descriptors as well."""
_ended_for_fork: list[Hub] = []
"""The hub whose thread a fork has ended for a moment."""


def current_hub() -> Hub:
    """This process's hub, started by the first server."""
    global _current
    with _creating:
        if _current is None:
            _current = Hub()
        return _current


def give_up(hub: Hub) -> None:
    """The hub's thread is stuck: the next server gets a new one."""
    global _current
    with _creating:
        if _current is hub:
            _current = None
            _stuck.append(hub)


def _before_fork() -> None:
    """End the thread for a moment: `os.fork()` warns of running threads, as an error from 3.15 on under -W error."""
    hub = _current
    if hub is not None and not _ended_for_fork and hub.end_thread():
        _ended_for_fork.append(hub)


def _after_fork_in_parent() -> None:
    while _ended_for_fork:
        _ended_for_fork.pop().resume_thread()


def _after_fork_in_child() -> None:
    global _creating, _current
    _creating = allocate_lock()
    inherited = [hub for hub in (_current, *_stuck) if hub is not None]
    _current = None
    _stuck.clear()
    _ended_for_fork.clear()
    for hub in inherited:
        hub.abandon_in_child()


if hasattr(os, "register_at_fork"):
    # 3.11 never warns; 3.13 counts after the thread is back.
    if sys.version_info[:2] not in ((3, 11), (3, 13)):
        os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent)
    os.register_at_fork(after_in_child=_after_fork_in_child)
