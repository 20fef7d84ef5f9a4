"""The sockets that pytest-sockets opens for itself.

pytest-socket (`--disable-socket`), gevent and tests replace `socket.socket` at run time. This module is imported when
the plugin is loaded, so `RealSocket` derives from the original class. The class also marks the plugin's own sockets:
the registry never owns a `RealSocket`.
"""

from __future__ import annotations

import _socket
import socket
import weakref


class RealSocket(socket.socket):
    """The standard library's socket, unpatched; never counted as a socket of the suite.

    Use `accepted()` instead of `accept()`, which looks up `socket.socket` again at call time.
    """

    def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:  # noqa: A002
        super().__init__(family, type, proto, fileno)
        _alive.add(self)

    __hash__ = socket.socket.__hash__

    def accepted(self) -> tuple[RealSocket, object]:
        """Accept a connection without the (perhaps patched) `socket.socket`; raises the errors of accept(2)."""
        fd, address = self._accept()  # type: ignore[attr-defined]
        return RealSocket(self.family, self.type, self.proto, fd), address


class BareSocket(RealSocket):
    """A `RealSocket` without the Python half of the standard library's class, which makes it cheaper.

    Only for binding: probes and locks of ports. It has no `accept`, no `makefile`, and is not a context manager. Pass
    one that stays open to `keep()`.
    """

    __init__ = _socket.socket.__init__
    close = _socket.socket.close


_alive: weakref.WeakSet[RealSocket] = weakref.WeakSet()

keep = _alive.add
"""Count an open `BareSocket` in `own_fds()`."""


def own_fds() -> frozenset[int]:
    """Return the descriptors of every open `RealSocket`."""
    while True:
        try:
            return frozenset(fd for fd in [sock.fileno() for sock in _alive] if fd >= 0)
        except (
            RuntimeError
        ):  # another thread opened one meanwhile, and a WeakSet that changes cannot be iterated
            continue
