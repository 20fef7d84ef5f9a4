"""The sockets that pytest-sockets opens for itself.

`socket.socket` is replaced at run time by pytest-socket (`--disable-socket`), by gevent and by tests. This module is
imported when the plugin is loaded, so `RealSocket` derives from the class that the interpreter came with. It also marks
what is ours: the ledger never owns a `RealSocket`.
"""

from __future__ import annotations

import _socket
import socket
import weakref


class RealSocket(socket.socket):
    """The standard library's socket, unpatched; never counted as one of the suite's.

    Never use `accept()` on it: that method looks `socket` up again at call time. Use `accepted()`.
    """

    def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:  # noqa: A002
        super().__init__(family, type, proto, fileno)
        _alive.add(self)

    __hash__ = socket.socket.__hash__

    def accepted(self) -> tuple[RealSocket, object]:
        """`accept()` without a look at the (perhaps patched) `socket.socket`; raises what accept(2) gives."""
        fd, address = self._accept()  # type: ignore[attr-defined]
        return RealSocket(self.family, self.type, self.proto, fd), address


class BareSocket(RealSocket):
    """A `RealSocket` without the standard library's Python half: 6 us less for each that is opened and closed.

    For what only binds: probes and locks of ports. It has no `accept`, no `makefile` and no `with`. One that stays open
    is to be given to `keep()`.
    """

    __init__ = _socket.socket.__init__
    close = _socket.socket.close


_alive: weakref.WeakSet[RealSocket] = weakref.WeakSet()

keep = _alive.add
"""Count an open `BareSocket` among `own_fds()`."""


def own_fds() -> frozenset[int]:
    """The descriptors of every open `RealSocket`."""
    while True:
        try:
            return frozenset(fd for fd in [sock.fileno() for sock in _alive] if fd >= 0)
        except RuntimeError:  # another thread opened one meanwhile: a WeakSet cannot be iterated then
            continue
