"""Servers that left the process tree: a daemon forks twice, and init adopts it, so no walk of the children finds it.

It still has the environment that it was started with, and pytest names the running test there (PYTEST_CURRENT_TEST), or its
title still shows what it was started with. So when an owner that started a process is over, and somebody listens who did
not before, the holders of the new listeners are looked into.
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
"""Seconds from the start of a command to its daemon's listening, beyond which the start is forgotten."""
_MOST_STARTS: Final = 1000
"""Kept of one phase of a test, which may start ten thousand processes."""


class Start(NamedTuple):
    """A child process is about to be started here; `at` is monotonic."""

    at: float
    scope: Scope
    call_site: CallSite
    words: tuple[str, ...] = ()
    """The command line, as far as it is known."""
    process: Callable[[], Any] | None = None
    """A weak reference to the Popen object that starts it, if there is one; it will know the pid."""

    @property
    def pid(self) -> int | None:
        """The pid, once the object that starts the process knows it."""
        pid = getattr(self.process(), "pid", None) if self.process is not None else None
        return pid if isinstance(pid, int) else None

    @property
    def is_pending(self) -> bool:
        """Whether its process is not known yet: nothing will name the pid, or a Popen object has not learned it.

        That object learns the pid some microseconds after the fork, perhaps in another thread.
        """
        return self.process is None or (self.process() is not None and self.pid is None)

    def is_exactly(self, title: str) -> bool:
        """Whether this command line, unchanged, is the title: a client may name the port, too, and start at once."""
        import shlex

        return shlex.join(word for word in self.words if word) == title

    def is_of(self, title: str, port: int | None) -> bool:
        """Whether a process with this title (argv as it shows itself now) has come of this command line.

        A daemon that writes a title of its own (redis, nginx, postgres) overwrites its environment with it, so the
        program and something particular of its arguments must show: a path, or the port.
        """
        if not self.words:
            return False
        program, *arguments = self.words
        particular = [word for word in arguments if "/" in word or word == str(port)]
        return os.path.basename(program) in title and any(  # noqa: PTH119
            word in title or word == str(port) for word in particular
        )


class DetachedProcess(NamedTuple):
    """A process outside our tree that one of our starts has brought."""

    pid: int
    start: Start


class DetachedProcesses:
    """The listening processes outside of the tree that a test of this run has started."""

    def __init__(self) -> None:
        self._before: set[int | None] | None = None
        """Inodes of the listeners before the first start, and of those that were looked into since."""
        self._starts: dict[str, list[Start]] = {}
        """Of each phase of a test, the oldest first: what starts a daemon is often followed by what asks it."""
        self._found: dict[int, DetachedProcess] = {}

    def starting(self, start: Start) -> None:
        """Call this before the process exists."""
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
        """Whether an owner that is over has started a process that was not looked for yet, or left a daemon."""
        starts = (start for starts in tuple(self._starts.values()) for start in tuple(starts))
        return any(start.scope.owner.over for start in starts) or any(
            daemon.start.scope.owner.over for daemon in self._found.values()
        )

    def find(self, shared: Container[int | None], children: Container[int]) -> list[DetachedProcess]:
        """The daemons of owners that are over. Walks all processes only if somebody listens who did not before."""
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
        """It is reported, or gone."""
        self._found.pop(pid, None)

    def _look_into(self, pid: int, port: int | None) -> None:
        from pytest_sockets.table import processes

        birth = birth_of(pid)
        if birth is None or not _adopted(birth.parent):
            return  # somebody else's: it still has a parent of its own
        facts = processes.facts(pid)
        possible = self._before_birth(birth.at, facts)
        title = facts.command_line or ""
        fitting = [start for start in possible if start.is_of(title, port)]
        if facts.test is not None:
            # Its environment proves which test it is of, so that less may tell of which command.
            exact = [start for start in possible if start.is_exactly(title)]
            chosen = exact or fitting or possible
        else:
            chosen = [start for start in fitting if start.is_exactly(title)] or fitting
        if chosen:
            self._found[pid] = DetachedProcess(pid, chosen[-1])

    def _before_birth(self, birth: float, facts: ProcessFacts) -> list[Start]:
        """The starts that may have brought a process with these facts, the oldest first."""
        if facts.test is None:
            among = [start for starts in self._starts.values() for start in starts]
        elif facts.worker == os.environ.get("PYTEST_XDIST_WORKER"):
            among = self._starts.get(facts.test, [])
        else:
            among = []
        return sorted((start for start in among if start.at <= birth + TICK), key=lambda start: start.at)


def _thinned(starts: Sequence[Start]) -> list[Start]:
    """The newer half, and of the older one the first start of each line: it had the most time to bring a daemon."""
    half = _MOST_STARTS // 2
    older, newer = starts[:-half], starts[-half:]
    firsts: dict[CallSite, Start] = {}
    for start in older:
        firsts.setdefault(start.call_site, start)
    return [*list(firsts.values())[: half // 2], *newer]


def _adopted(parent: int) -> bool:
    """Whether init, or a reaper in its place, is the parent: that is what a second fork is for."""
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
    ):  # without it only a walk of all processes would tell: too much after each test
        return []
