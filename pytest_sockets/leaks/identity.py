"""Identify the socket behind a descriptor. Descriptors are reused at once, so a record needs a second number.

On Linux that number is the inode. macOS gives every TCP and UDP socket the inode 0, and fstat(2) fails on Windows. There,
this module gives a socket a serial number when its Python object is first seen. The descriptor still refers to that socket
while the object is alive and its `fileno()` is the descriptor.
"""

from __future__ import annotations

import _socket
import itertools
import sys
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.table import own_fds

if TYPE_CHECKING:
    from collections.abc import Callable

BY_INODE: Final = sys.platform == "linux"
_LISTABLE: Final = sys.platform != "win32"


class _Holder:
    """The socket behind a descriptor, identified by its objects, or by the descriptor alone if no object is known."""

    __slots__ = ("inode", "number", "references")

    def __init__(self, number: int, references: list[Callable[[], Any]], inode: int | None) -> None:
        self.number = number
        self.references = references
        self.inode = inode

    def has(self, fd: int) -> bool:
        """Whether the descriptor is open and still refers to this socket."""
        if _LISTABLE and own_fds.socket_inode(fd) != self.inode:
            return False
        return not self.references or any(_fileno(reference()) == fd for reference in self.references)


class Serials:
    """The serial numbers of one process, for systems whose sockets have no inodes."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._holders: dict[int, _Holder] = {}

    def at(self, fd: int) -> int | None:
        """Return the number of the socket behind `fd`; None if it is closed or has no number."""
        holder = self._holders.get(fd)
        return holder.number if holder is not None and holder.has(fd) else None

    def claim(self, fd: int, reference: Callable[[], Any], *, shared: bool = False) -> int:
        """Return the number of this object's socket.

        `shared`: another live object may have the same descriptor, as in TLS wrapping.
        """
        holder = self._holders.get(fd)
        if holder is not None and holder.references:
            if any(one is reference for one in holder.references):
                return holder.number
            if shared and holder.has(fd):
                holder.references = [one for one in holder.references if one() is not None] + [reference]
                return holder.number
        return self._hold(fd, [reference])

    def detach(self, fd: int) -> None:
        """Note that the descriptor outlives its object."""
        holder = self._holders.get(fd)
        if holder is not None:
            holder.references = []

    def listed(self) -> dict[int, int]:
        """Return each open socket descriptor with its number. Raises OSError where descriptors cannot be listed."""
        inodes = own_fds.socket_inodes()
        for fd, holder in tuple(self._holders.items()):
            if fd not in inodes and not holder.references:
                del self._holders[fd]
        return {fd: self.at(fd) or self._hold(fd, []) for fd in inodes}

    def _hold(self, fd: int, references: list[Callable[[], Any]]) -> int:
        holder = _Holder(next(self._numbers), references, own_fds.socket_inode(fd))
        self._holders[fd] = holder
        return holder.number


SERIALS: Final = Serials()
socket_at: Final[Callable[[int], int | None]] = own_fds.socket_inode if BY_INODE else SERIALS.at
"""Return the inode or serial number of the socket behind `fd`; None if it is closed or not a socket."""


def listed() -> dict[int, int]:
    """Return each open socket descriptor with its inode or serial number.

    Raises OSError where descriptors cannot be listed.
    """
    return own_fds.socket_inodes() if BY_INODE else SERIALS.listed()


def _fileno(sock: Any) -> int:
    return _socket.socket.fileno(sock) if sock is not None else -1
