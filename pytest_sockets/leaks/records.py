"""What is known of one socket: its identity, its owner and the line that opened it."""

from __future__ import annotations

import _socket
import itertools
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.leaks.call_site import CallSite
from pytest_sockets.leaks.identity import socket_at
from pytest_sockets.originals import wall_clock

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from pytest_sockets.leaks.call_site import Walked
    from pytest_sockets.leaks.owner import Owner, Scope
    from pytest_sockets.model import SocketEntry

Key = tuple[int, int]
"""(fd, inode or serial number): stays the same while a socket is open, and never returns."""

_numbers: Final = itertools.count(1)
fileno: Final[Callable[[Any], int]] = _socket.socket.fileno
"""A socket's descriptor by C code: subclasses of a suite may have a `fileno` of their own."""


def no_object() -> None:
    """Return what a weak reference gives when there is no Python object."""


class Record:
    """One socket. The Python object, if there is one, is referred to weakly: nothing here keeps it alive."""

    accepted = False
    no_owner = False
    """Not the suite's: accepted by a listener that was there before, or opened by a plugin."""
    judged = False
    """It has been returned as a suspect."""
    pair: tuple[Key, int] | None = None
    """Which end of what one socketpair() made: the key of its first end, and 0 or 1."""
    duplicate_of: Key | None = None
    on_test_thread = True
    """Created in the thread that runs the tests."""
    listener: Record | None = None
    """What it was accepted on, if that has a record."""
    thread: CallSite | None = None
    """Where the thread that opened it was started, if that was another one than that of the tests."""
    concurrent_owner: Owner | None = None
    """Who ran meanwhile, if that thread worked for another one."""
    superseded = False
    """Another record is this socket's, or its descriptor has been reused."""
    life: Any = None
    """What a timeline remembers of it."""

    opener_thread: Callable[[], threading.Thread | None] = staticmethod(no_object)
    """The thread that created it, if that was another one than that of the tests."""

    def __init__(
        self,
        scope: Scope,
        call_site: CallSite | Walked | None,
        key: Key | None = None,
        ref: Callable[[], Any] = no_object,
    ) -> None:
        self.phase = scope.phase
        self.owner = self.opener = scope.owner
        """Whose code opened it; `owner` is another one when a wider fixture keeps it."""
        self.walked = call_site
        self.key = key
        self.ref = ref
        self.number = next(_numbers)
        """In the order of opening."""
        self.created = wall_clock()

    @property
    def call_site(self) -> CallSite | None:
        """Where it was opened. Made when it is asked for first: most sockets are closed before anybody asks."""
        if type(self.walked) is tuple:
            self.walked = CallSite(*self.walked)
        return self.walked  # type: ignore[return-value]

    @call_site.setter
    def call_site(self, call_site: CallSite | None) -> None:
        self.walked = call_site

    @property
    def seems_open(self) -> bool:
        """Whether its object still has the descriptor; without a system call where there is an object."""
        if self.key is None or self.superseded:
            return False
        if self.ref is no_object:
            return socket_at(self.key[0]) == self.key[1]
        sock = self.ref()
        return sock is not None and fileno(sock) == self.key[0]

    @property
    def is_open(self) -> bool:
        """Whether the descriptor still is this socket, also if somebody closed it behind its object's back."""
        return self.seems_open and self.key is not None and socket_at(self.key[0]) == self.key[1]

    @property
    def entry(self) -> SocketEntry | None:
        """The socket as the kernel sees it now; None once it is closed."""
        if self.key is None or not self.is_open:
            return None
        from pytest_sockets.table import own_socket  # a run without suspects needs no table entries

        return own_socket.describe(self.key[0])
