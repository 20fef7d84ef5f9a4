"""The known facts of one socket: its identity, its owner and the line that opened it."""

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
"""(fd, inode or serial number): constant while a socket is open, and never reused."""

_numbers: Final = itertools.count(1)
fileno: Final[Callable[[Any], int]] = _socket.socket.fileno
"""Returns a socket's descriptor through C code, since subclasses of the suite may override `fileno`."""


def no_object() -> None:
    """Return None, as a dead weak reference does: the reference of a socket without a Python object."""


class Record:
    """One socket. Its Python object, if any, is referred to weakly, so a record never keeps it alive."""

    accepted = False
    no_owner = False
    """Whether it has no owner: accepted by a listener from before the run, or opened by a plugin."""
    judged = False
    """Whether it has been returned as a suspect."""
    pair: tuple[Key, int] | None = None
    """For one end of a socketpair(): the key of the first end, and 0 or 1."""
    duplicate_of: Key | None = None
    on_test_thread = True
    """Whether the thread that runs the tests created it."""
    listener: Record | None = None
    """The record of the listener that accepted it, if there is one."""
    thread: CallSite | None = None
    """The start of the thread that opened it; None for the thread that runs the tests."""
    concurrent_owner: Owner | None = None
    """The owner that was running at that moment, if the thread worked for another owner."""
    life: Any = None
    """The data that a timeline keeps of it."""

    opener_thread: Callable[[], threading.Thread | None] = staticmethod(no_object)
    """The thread that created it; None for the thread that runs the tests."""

    def __init__(
        self,
        scope: Scope,
        call_site: CallSite | Walked | None,
        key: Key | None = None,
        ref: Callable[[], Any] = no_object,
    ) -> None:
        self.phase = scope.phase
        self.owner = self.opener = scope.owner
        """The owner whose code opened it. `owner` differs if a wider fixture keeps the socket."""
        self.walked = call_site
        self.key = key
        self.ref = ref
        self.number = next(_numbers)
        """The position in the order of opening."""
        self.created = wall_clock()
        # Not on the class: it is set for every socket that closes, and the interpreter is slow to set over a class default.
        self.superseded = False
        """Whether another record describes this socket, or its descriptor has been reused."""

    @property
    def call_site(self) -> CallSite | None:
        """The place of opening. Made on first use, since most sockets are closed before it is needed."""
        if type(self.walked) is tuple:
            self.walked = CallSite(*self.walked)
        return self.walked  # type: ignore[return-value]

    @call_site.setter
    def call_site(self, call_site: CallSite | None) -> None:
        self.walked = call_site

    @property
    def seems_open(self) -> bool:
        """Whether its object still has the descriptor. Needs no system call if there is an object."""
        if self.key is None or self.superseded:
            return False
        if self.ref is no_object:
            return socket_at(self.key[0]) == self.key[1]
        sock = self.ref()
        return sock is not None and fileno(sock) == self.key[0]

    @property
    def is_open(self) -> bool:
        """Whether the descriptor still refers to this socket, even if other code closed it without its object."""
        return self.seems_open and self.key is not None and socket_at(self.key[0]) == self.key[1]

    @property
    def entry(self) -> SocketEntry | None:
        """The socket as the kernel reports it now; None once it is closed."""
        if self.key is None or not self.is_open:
            return None
        from pytest_sockets.table import own_socket  # a run without suspects needs no table entries

        return own_socket.describe(self.key[0])
