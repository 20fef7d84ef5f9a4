"""Whose work does a thread do? A thread works for the owner that started it, as long as that owner lives."""

from __future__ import annotations

import _thread
import threading
import weakref
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pytest_sockets.leaks.owners import Owner

_POOLS: Final = (
    "concurrent.futures",
    "anyio",
    "trio",
    "asyncio",
    "tornado",
    "gevent",
    "multiprocessing.pool",
)


class ThreadOwners:
    """Each thread's starter. Threads have no creation event before Python 3.12, so they are looked at when scopes end."""

    def __init__(self, session: Owner) -> None:
        self._session = session
        self._home = threading.get_ident()
        self._owners: weakref.WeakKeyDictionary[threading.Thread, Owner] = weakref.WeakKeyDictionary()
        self._active: dict[int, threading.Thread] = threading._active  # type: ignore[attr-defined]
        self._nameless = self._count_nameless()
        """Threads that have no Thread object, by `_thread` or by C code: those that ran before the suite."""

    @property
    def at_home(self) -> bool:
        """Whether the calling thread is the one that runs the tests."""
        return threading.get_ident() == self._home

    @property
    def any_new(self) -> bool:
        """Whether a thread runs that nobody has been noted for."""
        if len(self._active) == 1:
            return False
        return any(thread not in self._owners for thread in tuple(self._active.values()))

    def note(self, owner: Owner) -> None:
        """Threads that were not there before were started in the scope of `owner`."""
        for thread in tuple(self._active.values()):
            if thread not in self._owners:
                self._owners[thread] = owner

    def starter(self) -> Owner | None:
        """Whom the calling thread works for; None if that is whoever's scope runs."""
        thread = self._active.get(threading.get_ident())
        owner = self._owners.get(thread) if thread is not None else None
        if owner is None or owner is self._session:
            return None
        if owner.over and _is_pool_worker(thread):  # it works for whoever handed it the task
            return None
        return owner

    @property
    def any_of_the_suite(self) -> bool:
        """Whether another thread than the tests' runs that the suite, or a C library, has started."""
        owners = [
            self._owners.get(thread) for thread in tuple(self._active.values()) if thread.ident != self._home
        ]
        if any(owner is not self._session for owner in owners):
            return True
        return self._count_nameless() > self._nameless

    def _count_nameless(self) -> int:
        return max(0, _thread._count() - (len(self._active) - 1))


def _is_pool_worker(thread: threading.Thread | None) -> bool:
    target = getattr(thread, "_target", None)
    modules = type(thread).__module__, getattr(target, "__module__", None) or ""
    return any(module.startswith(_POOLS) for module in modules)
