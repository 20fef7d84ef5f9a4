"""Attribute threads to owners. A thread works for the owner that started it, or for the owner of the starting thread."""

from __future__ import annotations

import _thread
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets import own_threads
from pytest_sockets.leaks.call_site import TEST_TOOLS

if TYPE_CHECKING:
    from pytest_sockets.leaks.call_site import CallSite
    from pytest_sockets.leaks.owner import Owner

_POOLS: Final = (
    "concurrent.futures",
    "anyio",
    "trio",
    "asyncio",
    "tornado",
    "gevent",
    "multiprocessing.pool",
    "pytest_sockets.servers",
)
_PLUGINS: Final = TEST_TOOLS | {"_pytest", "pytest_sockets"}
"""Packages whose threads close no socket of the suite. A leak need not wait for such a thread."""


class ThreadOwners:
    """The owner of each thread, noted when it starts. Threads without an event (gevent's) are noted when scopes end."""

    def __init__(self, session: Owner) -> None:
        self._session = session
        self._home = threading.get_ident()
        self._owners: weakref.WeakKeyDictionary[threading.Thread, Owner] = weakref.WeakKeyDictionary()
        self._call_sites: weakref.WeakKeyDictionary[threading.Thread, CallSite] = weakref.WeakKeyDictionary()
        self.active: dict[int, threading.Thread] = threading._active  # type: ignore[attr-defined]
        self._nameless = self._count_nameless()
        """Threads without a Thread object, started by `_thread` or by C code, that ran before the suite."""

    @property
    def on_test_thread(self) -> bool:
        """Whether the calling thread is the one that runs the tests."""
        return threading.get_ident() == self._home

    @property
    def any_new(self) -> bool:
        """Whether a running thread has no recorded owner."""
        if len(self.active) == 1:
            return False
        return any(thread not in self._owners for thread in tuple(self.active.values()))

    def starting(self, thread: threading.Thread, owner: Owner, call_site: CallSite) -> None:
        """Note that the calling thread starts `thread` at `call_site`, for `owner`. Only its first start counts."""
        if thread not in self._owners:
            self._owners[thread] = owner
            self._call_sites[thread] = call_site

    @property
    def calling(self) -> threading.Thread | None:
        """The calling thread; None if it has no object."""
        return self.active.get(threading.get_ident())

    def start_of(self, thread: threading.Thread) -> CallSite | None:
        """Return the place where the thread was started; None if unknown."""
        return self._call_sites.get(thread)

    def note(self, owner: Owner) -> None:
        """Attribute new threads to `owner`, in whose scope they were started."""
        for thread in tuple(self.active.values()):
            if thread not in self._owners:
                self._owners[thread] = owner

    def any_of(self, owner: Owner) -> bool:
        """Whether a running thread works for `owner`."""
        return any(self._owners.get(thread) is owner for thread in tuple(self.active.values()))

    def starter(self) -> Owner | None:
        """Return the owner that the calling thread works for; None if that is the owner of the current scope."""
        thread = self.active.get(threading.get_ident())
        owner = self._owners.get(thread) if thread is not None else None
        if owner is None:
            return None
        if (owner.over or owner is self._session) and _is_pool_worker(thread):
            return None  # A pool thread works for the owner that submitted the task.
        return owner

    @property
    def any_of_the_suite(self) -> bool:
        """Whether a thread besides the test thread runs that the suite or a C library has started.

        A thread from before the session counts too: the import of the user's conftest may have started it.
        """
        if any(self._may_be_the_suites(thread) for thread in tuple(self.active.values())):
            return True
        return self._count_nameless() > self._nameless

    def _may_be_the_suites(self, thread: threading.Thread) -> bool:
        if thread.ident == self._home:
            return False
        if self._owners.get(thread) is not self._session:
            return not _is_a_plugins(thread)
        # Threads without an object of their own, such as execnet's, are only known to be older than the session.
        nobodys = isinstance(thread, (threading._MainThread, threading._DummyThread))  # type: ignore[attr-defined]
        return not nobodys and not _is_a_plugins(thread)

    def _count_nameless(self) -> int:
        return max(0, _thread._count() - (len(self.active) - 1) - own_threads.count())


def _is_pool_worker(thread: threading.Thread | None) -> bool:
    return any(
        module.startswith(_POOLS) for module in _modules_of(type(thread), getattr(thread, "_target", None))
    )


def _is_a_plugins(thread: threading.Thread) -> bool:
    called = (
        getattr(thread, "_target", None),
        getattr(thread, "function", None),
    )  # `function` is an attribute of Timer
    return any(module.partition(".")[0] in _PLUGINS for module in _modules_of(type(thread), *called))


def _modules_of(*definitions: Any) -> list[str]:
    return [str(getattr(definition, "__module__", None) or "") for definition in definitions]
