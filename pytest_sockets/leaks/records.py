"""What the books consist of: owners, and one record for each socket: identity, owner, origin."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.leaks.identity import BY_INODE, SERIALS, socket_at
from pytest_sockets.originals import monotonic, wall_clock
from pytest_sockets.table.own_fds import socket_inode

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from pytest_sockets.leaks.call_site import Origin
    from pytest_sockets.model import SocketEntry

Key = tuple[int, int]
"""(fd, inode or serial number): stays the same while a socket is open, and never returns."""

_TYPE_BITS: Final = 0xF
"""SOCK_NONBLOCK and SOCK_CLOEXEC are or-ed into the type above these."""
_LONGEST_BIRTH: Final = 0.2
"""Seconds that a thread may take between socket(2) and the end of the constructor: it waits for the GIL meanwhile."""


class Owner:
    """The test, fixture, class, module, session or import during which a socket was opened.

    Compared by identity: each set-up of a fixture and each attempt of a rerun test is an owner of its own.
    """

    __slots__ = ("context", "definition", "kind", "name", "over", "parameter", "raised", "scope")

    def __init__(self, kind: str, name: str, scope: str, context: object = None) -> None:
        self.kind = kind
        self.name = name
        self.scope = scope
        self.context = context
        """Whatever the caller wants to find again with the owner; the plugin's: the node whose marks count."""
        self.definition: object = None
        """A fixture's function."""
        self.over = False
        """Its whole teardown has run."""
        self.raised = False
        """A fixture whose set-up raised."""
        self.parameter = ""
        """Of a parametrized fixture, in words."""

    def __str__(self) -> str:
        if self.kind == "fixture":
            return f"fixture {self.name!r} (scope {self.scope})"
        return self.kind if self.kind == "session" else f"{self.kind} {self.name}"


NEVER_OVER: Final = Owner("session", "session", "session")
"""An owner that does not end: what it owns is never judged."""


class Scope:
    """Whose code runs, in which phase of it: setup, call, teardown or import."""

    __slots__ = ("owner", "phase")

    def __init__(self, owner: Owner, phase: str) -> None:
        self.owner = owner
        self.phase = phase


class Record:
    """One socket. The Python object, if there is one, is referred to weakly: the books keep nothing alive."""

    __slots__ = (
        "accepted",
        "at_home",
        "created",
        "duplicate_of",
        "during",
        "family",
        "first_look",
        "key",
        "kind",
        "life",
        "listener",
        "maker",
        "matched",
        "nobodys",
        "opener",
        "origin",
        "owner",
        "pair",
        "phase",
        "ref",
        "superseded",
        "thread",
    )  # fmt: skip

    def __init__(self, scope: Scope, origin: Origin | None, family: int, kind: int) -> None:
        self.owner = scope.owner
        self.phase = scope.phase
        self.opener = scope.owner
        """Whose code opened it; `owner` is another one when a wider fixture keeps it."""
        self.origin = origin
        self.family = family
        self.kind = kind
        self.key: Key | None = None
        self.ref: Callable[[], Any] = _nothing
        self.created = wall_clock()
        self.accepted = False
        self.nobodys = False
        """Not the suite's: accepted by a listener that was there before."""
        self.pair: tuple[Key, int] | None = None
        """Which end of what one socketpair() made: the key of its first end, and 0 or 1."""
        self.duplicate_of: Key | None = None
        self.at_home = True
        """Created in the thread that runs the tests, which looks at it, so it is complete by then."""
        self.listener: Record | None = None
        """What it was accepted on, if that is in the books."""
        self.maker: Callable[[], threading.Thread | None] = _nothing
        """The thread that created it, if that was another one than that of the tests."""
        self.thread: Origin | None = None
        """Where that thread was started."""
        self.during: Owner | None = None
        """Who ran meanwhile, if that thread worked for another one."""
        self.first_look = 0.0
        self.superseded = False
        """Another record turned out to be this socket's: this one counts no more."""
        self.matched = False
        """Its descriptor was found apart from its object."""
        self.life: Any = None
        """What a timeline remembers of it."""

    def settle(self) -> bool:
        """Learn the key from the live object; False while it has no descriptor."""
        if not BY_INODE:
            return self._settle_by_object()
        if self.key is None:
            sock = self.ref()
            fd = -1 if sock is None else sock.fileno()
            if fd >= 0:
                inode = socket_inode(fd)
                self.key = (fd, inode) if inode is not None else None
        return self.key is not None

    def _settle_by_object(self) -> bool:
        """Also a key that was known before has no meaning until the object has the descriptor."""
        sock = self.ref()
        fd = -1 if sock is None else sock.fileno()
        if fd < 0:
            return False
        if self.key is None or self.key[0] != fd:
            self.key = fd, SERIALS.claim(fd, self.ref)
        return True

    def is_unborn(self, *, final: bool) -> bool:
        """Whether the constructor may still be running, so that a later look may find the descriptor.

        `final` looks come from the tests' thread: what that thread made is complete then, or closed. What another thread
        makes is given some time.
        """
        if self.matched or self.ref() is None:
            return False
        if final and self.at_home:
            return False
        now = monotonic()
        self.first_look = self.first_look or now
        return now - self.first_look < _LONGEST_BIRTH

    @property
    def is_open(self) -> bool:
        """Whether the descriptor still is this socket."""
        if self.key is None or self.superseded:
            return False
        return socket_at(self.key[0]) == self.key[1]

    @property
    def entry(self) -> SocketEntry | None:
        """The socket as the kernel sees it now; None once it is closed."""
        if self.key is None or not self.is_open:
            return None
        from pytest_sockets.table import own_socket  # a run without suspects needs no table entries

        return own_socket.describe(self.key[0])

    @property
    def protocol(self) -> str:
        """The protocol by its family and type, also when it is closed."""
        if self.family == getattr(socket, "AF_UNIX", None):
            return "unix"
        return "udp" if self.kind & _TYPE_BITS == socket.SOCK_DGRAM and self.kind != -1 else "tcp"

    def describes(self, entry: SocketEntry) -> bool:
        """Whether a creation with this family and type can have made `entry`; Python's -1 means AF_INET, SOCK_STREAM."""
        family = socket.AF_INET if self.family == -1 else self.family
        kind = socket.SOCK_STREAM if self.kind == -1 else self.kind & _TYPE_BITS
        same_family = getattr(socket, entry.family, None) == family
        return same_family and (
            entry.protocol == "unix" or (entry.protocol == "udp") == (kind == socket.SOCK_DGRAM)
        )


def _nothing() -> None:
    return None
