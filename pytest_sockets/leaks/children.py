"""Attribute child processes to owners, and find the listeners of children that outlived their owner.

`watcher` reports most starts of a child, and C code that forks (uvloop) calls the interpreter's fork hooks. A test without
such an event is not examined. No event carries a pid, so children are found by comparing the list of children at the ends
of scopes. waitid(2) with WNOWAIT reports in one system call whether any child exists, and reaps none.
"""

from __future__ import annotations

import os
import sys
import weakref
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets import own_processes
from pytest_sockets.leaks.owner import NEVER_OVER, Scope
from pytest_sockets.originals import RealOs, monotonic

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from pytest_sockets.leaks.call_site import CallSite
    from pytest_sockets.leaks.child_listeners import ChildListener
    from pytest_sockets.leaks.detached_processes import DetachedProcesses, Start
    from pytest_sockets.leaks.owner import Owner


class Child:
    """A child process, with the scope and the line that started it."""

    __slots__ = ("call_site", "opener", "pid", "scope")

    def __init__(self, pid: int, scope: Scope, call_site: CallSite | None) -> None:
        self.pid = pid
        self.scope = scope
        self.opener = scope.owner
        """The owner that started it. `scope` has another owner if a wider fixture or the session keeps the process."""
        self.call_site = call_site


_NO_OWNER: Final = Scope(NEVER_OVER, "setup")
_MOST_READS: Final = 5
"""Attempts to read the list of children. A thread that ends meanwhile spoils one attempt."""
_LONGEST_START: Final = 2.0
"""Seconds from the event to the fork, at most, on a busy machine."""


def _has_children() -> bool:
    """Whether this process has children. Without waitid(2) (Windows, some macOS), only multiprocessing's are known."""
    if sys.platform == "win32" or not hasattr(os, "waitid"):
        return bool(_multiprocessing_children())
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    except OSError:
        return True
    return True


class Children:
    """The child processes of this run, each with its owner."""

    def __init__(self, kinds: tuple[str, ...] = ("tcp", "udp")) -> None:
        self._kinds = kinds
        self._starts: list[Start] = []
        self._daemons: DetachedProcesses | None = None
        self._known: dict[int, Child] = {}
        self._reported: set[object] = set()

    def begin(self) -> None:
        """Exclude the children that exist now: the suite did not start them."""
        self._starts.clear()
        self._known = {pid: Child(pid, _NO_OWNER, None) for pid in _child_pids()} if _has_children() else {}

    def keep_the_users(self) -> None:
        """Exclude the children started since `begin` by anything but the user's code."""
        for child in self._known.values():
            if child.call_site is None or not child.call_site.in_users_code:
                child.scope = _NO_OWNER

    def starting(self, scope: Scope, call_site: CallSite, command: Any, starter: Any) -> None:
        """Note that `starter` is about to start a child. The next checkpoint finds its pid."""
        if own_processes.is_starting():
            return
        from pytest_sockets.leaks.detached_processes import DetachedProcesses, Start

        start = Start(monotonic(), scope, call_site, _as_words(command), _reference(starter))
        self._starts.append(start)
        self._daemons = self._daemons or DetachedProcesses()
        self._daemons.starting(start)

    @property
    def any_known(self) -> bool:
        """Whether a child runs, or was started since the last checkpoint, as far as the interpreter knows."""
        return self.any_seen or bool(_multiprocessing_children())

    @property
    def any_seen(self) -> bool:
        """Whether a child ran at the last checkpoint, or was started since then."""
        return bool(self._starts or self._known)

    def checkpoint(self, scope: Scope) -> None:
        """Attribute new children to this scope."""
        if not self._starts and not _has_children():
            self._known.clear()
            return
        pids = {*_child_pids(), *_multiprocessing_pids()}
        # When a thread ends, the kernel moves its children to another thread. A list read meanwhile may lack some of them.
        expected = {*self._known, *(start.pid for start in self._starts if start.pid is not None)}
        pids.update(pid for pid in expected - pids if _is_ours(pid))
        for pid in self._known.keys() - pids:
            del self._known[pid]
        new = sorted(pids - self._known.keys())
        known = {start.pid: start for start in self._starts} if new else {}
        for pid in new:
            if pid in own_processes.pids:
                self._known[pid] = Child(pid, _NO_OWNER, None)
                continue
            start = known.get(pid) or self._guessed(pid)
            self._known[pid] = Child(pid, start.scope, start.call_site) if start else Child(pid, scope, None)
        # A start without a visible child may be just before its fork, in another thread.
        for start in tuple(self._starts):
            if start.pid is not None or start.at < monotonic() - _LONGEST_START:
                self._starts.remove(start)

    def _guessed(self, pid: int) -> Start | None:
        """Return the start of a process whose pid no Popen object has (yet): the last start before the process began.

        One start may bring several processes, such as multiprocessing's resource tracker.
        """
        from pytest_sockets.leaks.process_start import TICK, birth_of

        birth = birth_of(pid)
        began = (birth.at if birth is not None else monotonic()) + TICK
        near = [start for start in self._starts if began - _LONGEST_START < start.at <= began]
        candidates = [start for start in near if start.is_pending] or near
        return candidates[-1] if candidates else None

    def any_of(self, owner: Owner) -> bool:
        """Whether a child of `owner` ran at the last checkpoint."""
        return any(child.scope.owner is owner for child in self._known.values())

    @property
    def any_left(self) -> bool:
        """Whether a child of an ended owner ran at the last checkpoint."""
        if self._known and any(child.scope.owner.over for child in self._known.values()):
            return True
        return self._daemons is not None and self._daemons.any_left

    @property
    def left(self) -> list[Child]:
        """Return the children of ended owners that still ran at the last checkpoint."""
        return [child for child in self._known.values() if child.scope.owner.over]

    def listeners(self, shared: Container[int | None]) -> list[ChildListener]:
        """Return the unreported listeners of ended owners' children, except those that this process holds too (`shared`)."""
        from pytest_sockets.leaks.child_listeners import each_once, of_tree
        from pytest_sockets.table import holders

        left = self.left
        # A forkserver's children have owners of their own: exclude them from the tree of their ancestor.
        trees = {child: holders.descendants(child.pid) for child in left}
        own = {child: [pid for pid in tree if pid not in self._known] for child, tree in trees.items()}
        found = [
            listener for child, tree in own.items() for listener in of_tree(child, tree, self._kinds, shared)
        ]
        if self._daemons is not None and self._daemons.any_left:
            inside = {*self._known, *(pid for tree in trees.values() for pid in tree)}
            for pid, start in self._daemons.find(shared, inside):
                daemon = Child(pid, start.scope, start.call_site)
                found += of_tree(daemon, (), self._kinds, shared, left_behind=True)
        return each_once(listener for listener in found if listener.identity not in self._reported)

    def keep(self, listener: ChildListener, owner: Owner) -> None:
        """Reassign this process to `owner`, which keeps it. The process is judged when that owner ends."""
        listener.child.scope = Scope(owner, listener.child.scope.phase)

    def mark_reported(self, listener: ChildListener) -> None:
        """Exclude the listener from later results."""
        self._reported.add(listener.identity)
        if self._daemons is not None:
            self._daemons.forget(listener.child.pid)


def _reference(starter: Any) -> Callable[[], Any] | None:
    """Return a weak reference to the object that will know the pid (of subprocess or multiprocessing)."""
    try:
        return weakref.ref(starter) if starter is not None else None
    except TypeError:
        return None


def _as_words(words: Any) -> tuple[str, ...]:
    """Return the words of a command line given to Popen: a sequence of str, bytes or paths, or one text for a shell."""
    if isinstance(words, (str, bytes)):
        return tuple(os.fsdecode(words).split())
    if type(words) not in (list, tuple):
        return (os.fsdecode(words),) if isinstance(words, os.PathLike) else ()
    return tuple(os.fsdecode(word) for word in words if isinstance(word, (str, bytes, os.PathLike)))


def _multiprocessing_children() -> Any:
    process = sys.modules.get("multiprocessing.process")
    return getattr(process, "_children", ())


def _multiprocessing_pids() -> list[int]:
    """Return the pids that multiprocessing knows. A forkserver's children may not be descendants of this process."""
    return [child.pid for child in tuple(_multiprocessing_children()) if child.pid is not None]


def _child_pids() -> list[int]:
    """Return the direct children, oldest first. Linux lists them by the thread that started them."""
    if sys.platform != "linux":
        return _descendants()
    for _ in range(_MOST_READS):
        pids: set[int] = set()
        try:
            for task in RealOs.listdir("/proc/self/task"):
                fd = RealOs.open(f"/proc/self/task/{task}/children", RealOs.O_RDONLY)
                try:
                    pids.update(map(int, RealOs.read(fd, 65536).split()))
                finally:
                    RealOs.close(fd)
        except OSError:
            # The thread has ended, no descriptor is left, or the kernel lacks CONFIG_PROC_CHILDREN.
            continue
        return sorted(pids)
    return _descendants()


def _is_ours(pid: int) -> bool:
    from pytest_sockets.leaks.process_start import birth_of

    birth = birth_of(pid)
    return birth is not None and birth.parent == os.getpid()


def _descendants() -> list[int]:
    from pytest_sockets.table import holders

    return holders.descendants(os.getpid())
