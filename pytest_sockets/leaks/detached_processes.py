"""Find servers that left the process tree. A daemon forks twice and init adopts it, so no walk of the children finds it.

It usually keeps the environment of its start, in which pytest names the running test (PYTEST_CURRENT_TEST). Otherwise its
title may still show its command line. When an owner that started a process has ended, and the host has new listeners, the
holders of those listeners are examined.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pytest_sockets.leaks.process_start import TICK, birth_of
from pytest_sockets.originals import monotonic

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from pytest_sockets.leaks.call_site import CallSite
    from pytest_sockets.leaks.owner import Scope
    from pytest_sockets.model import SocketEntry
    from pytest_sockets.table.processes import ProcessFacts

_MARK: Final = "PYTEST_CURRENT_TEST"
_REAPERS: Final = ("systemd", "tini", "dumb-init", "catatonit", "docker-init")
_LONGEST_BIRTH: Final = 3.0
"""Seconds from the start of a command until its daemon must listen. Older starts are forgotten."""
_MOST_STARTS: Final = 1000
"""The number of starts to keep for one phase of a test, which may start ten thousand processes."""


class Start(NamedTuple):
    """The start of a child process; `at` is in monotonic seconds."""

    at: float
    scope: Scope
    call_site: CallSite
    words: tuple[str, ...] = ()
    """The command line, as far as it is known."""
    process: Callable[[], Any] | None = None
    """A weak reference to the Popen object that starts it and will know the pid; None if there is no such object."""

    @property
    def pid(self) -> int | None:
        """The pid; None until the Popen object knows it."""
        pid = getattr(self.process(), "pid", None) if self.process is not None else None
        return pid if isinstance(pid, int) else None

    @property
    def is_pending(self) -> bool:
        """Whether the pid is unknown: nothing will know it, or the Popen object does not have it yet.

        A Popen object gets the pid some microseconds after the fork, perhaps in another thread.
        """
        return self.process is None or (self.process() is not None and self.pid is None)

    def is_exactly(self, title: str) -> bool:
        """Whether the title is exactly this command line. A client that starts next may name the same port."""
        import shlex

        return shlex.join(word for word in self.words if word) == title

    def is_of(self, title: str, port: int | None) -> bool:
        """Whether a process with this title (its current argv) comes from this command line.

        A daemon that sets its own title (redis, nginx, postgres) overwrites its environment. The title must therefore
        contain the program and a distinctive argument: a path, or the port.
        """
        if not self.words:
            return False
        program, *arguments = self.words
        particular = [word for word in arguments if "/" in word or word == str(port)]
        return os.path.basename(program) in title and any(  # noqa: PTH119
            word in title or word == str(port) for word in particular
        )


class DetachedProcess(NamedTuple):
    """A process outside this process's tree, with the start that it comes from."""

    pid: int
    start: Start


class DetachedProcesses:
    """The listening processes outside the tree that a test of this run has started."""

    def __init__(self) -> None:
        self._before: set[int | None] | None = None
        """Inodes of the listeners from before the first start, and of those examined since then."""
        self._starts: dict[str, list[Start]] = {}
        """The starts by phase of a test, oldest first: the start of a daemon often precedes that of its clients."""
        self._found: dict[int, DetachedProcess] = {}

    def starting(self, start: Start) -> None:
        """Note a start. Call this before the process exists."""
        mark = os.environ.get(_MARK)
        if mark is None:
            return
        if self._before is None:
            self._before = {entry.inode for entry in _listeners()}
        starts = self._starts.setdefault(mark, [])
        starts.append(start)
        if len(starts) > _MOST_STARTS:
            starts[:] = _thinned(starts)

    @property
    def any_left(self) -> bool:
        """Whether an ended owner has started a process that was not searched for yet, or has left a daemon."""
        starts = (start for starts in tuple(self._starts.values()) for start in tuple(starts))
        return any(start.scope.owner.over for start in starts) or any(
            daemon.start.scope.owner.over for daemon in self._found.values()
        )

    def find(self, shared: Container[int | None], children: Container[int]) -> list[DetachedProcess]:
        """Return the daemons of ended owners. Walks all processes only if the host has new listeners."""
        from pytest_sockets.table import holders

        new = [
            entry
            for entry in _listeners()
            if entry.inode not in (self._before or ()) and entry.inode not in shared
        ]
        for entry in holders.with_holders(new) if new else ():
            if entry.pid is not None and entry.pid not in children:
                self._look_into(entry.pid, entry.local.port)
        if self._before is not None:
            self._before.update(entry.inode for entry in new)
        past = monotonic() - _LONGEST_BIRTH
        for mark, starts in tuple(self._starts.items()):
            starts[:] = [start for start in starts if not (start.scope.owner.over and start.at < past)]
            if not starts:
                del self._starts[mark]
        return [daemon for daemon in self._found.values() if daemon.start.scope.owner.over]

    def forget(self, pid: int) -> None:
        """Forget a process that was reported or has ended."""
        self._found.pop(pid, None)

    def _look_into(self, pid: int, port: int | None) -> None:
        from pytest_sockets.table import processes

        birth = birth_of(pid)
        if birth is None or not _adopted(birth.parent):
            return  # It belongs to another program: its parent is neither init nor a reaper.
        facts = processes.facts(pid)
        possible = self._before_birth(birth.at, facts)
        title = facts.command_line or ""
        fitting = [start for start in possible if start.is_of(title, port)]
        if facts.test is not None:
            # The environment proves the test, so weaker evidence may identify the command.
            exact = [start for start in possible if start.is_exactly(title)]
            chosen = exact or fitting or possible
        else:
            chosen = [start for start in fitting if start.is_exactly(title)] or fitting
        if chosen:
            self._found[pid] = DetachedProcess(pid, chosen[-1])

    def _before_birth(self, birth: float, facts: ProcessFacts) -> list[Start]:
        """Return the starts from which a process with these facts may come, oldest first."""
        if facts.test is None:
            among = [start for starts in self._starts.values() for start in starts]
        elif facts.worker == os.environ.get("PYTEST_XDIST_WORKER"):
            among = self._starts.get(facts.test, [])
        else:
            among = []
        return sorted((start for start in among if start.at <= birth + TICK), key=lambda start: start.at)


def _thinned(starts: Sequence[Start]) -> list[Start]:
    """Return the newer half, and each line's first start of the older half, which had the most time to become a daemon."""
    half = _MOST_STARTS // 2
    older, newer = starts[:-half], starts[-half:]
    firsts: dict[CallSite, Start] = {}
    for start in older:
        firsts.setdefault(start.call_site, start)
    return [*list(firsts.values())[: half // 2], *newer]


def _adopted(parent: int) -> bool:
    """Whether init, or a reaper in its place, is the parent. The second fork of a daemon has that effect."""
    if parent == 1:
        return True
    from pytest_sockets.table import processes

    return (processes.name(parent) or "") in _REAPERS


def _listeners() -> list[SocketEntry]:
    from pytest_sockets.table import sock_diag

    try:
        return sock_diag.tcp_listening()
    except (
        sock_diag.SockDiagMissing
    ):  # Without sock_diag, only a walk of all processes could answer, which is too slow after each test.
        return []
