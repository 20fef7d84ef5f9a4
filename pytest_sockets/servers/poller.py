"""Who is ready to read or write? epoll(7) itself where there is one, the standard library's selector elsewhere.

`selectors.EpollSelector` looks up and builds a key tuple per event; the bare call saves that on every round trip.
"""

from __future__ import annotations

import selectors
from typing import Final, Protocol

from pytest_sockets import originals

READ: Final = 0x1  # EPOLLIN
WRITE: Final = 0x4  # EPOLLOUT
ERROR: Final = 0x8  # EPOLLERR: always reported, also with an empty mask
HANGUP: Final = 0x10  # EPOLLHUP: both directions are shut; always reported


class Poller(Protocol):
    """A set of descriptors with the events wanted of each; an empty mask keeps the descriptor in the set."""

    needs_wake: bool
    """True if a change made by another thread is only seen by the next poll."""

    def add(self, fd: int, mask: int) -> None: ...
    def change(self, fd: int, mask: int) -> None: ...
    def remove(self, fd: int) -> None: ...
    def poll(self, timeout: float | None, most: int) -> list[tuple[int, int]]: ...
    def close(self) -> None: ...


class EpollPoller:
    """epoll(7): another thread may change the set while this one waits."""

    needs_wake = False

    def __init__(self) -> None:
        self._epoll = originals.epoll()
        self.add = self._epoll.register
        self.change = self._epoll.modify
        self.close = self._epoll.close
        self.poll = self._epoll.poll  # rounds its timeout up to milliseconds; None waits for ever

    def remove(self, fd: int) -> None:
        """Forget `fd`; must come before its close."""
        try:
            self._epoll.unregister(fd)
        except OSError:  # other code has closed it
            pass


class SelectorPoller:
    """`selectors.DefaultSelector`: kqueue or select."""

    needs_wake = True

    def __init__(self) -> None:
        self._selector = originals.default_selector()
        self._idle: set[int] = set()

    def add(self, fd: int, mask: int) -> None:
        """Watch `fd`. A selector takes no empty mask: such descriptors are put aside."""
        if mask:
            self._selector.register(fd, _events(mask))
        else:
            self._idle.add(fd)

    def change(self, fd: int, mask: int) -> None:
        """Watch `fd` for something else."""
        if fd in self._idle:
            self._idle.discard(fd)
            self.add(fd, mask)
        elif mask:
            self._selector.modify(fd, _events(mask))
        else:
            self.remove(fd)
            self._idle.add(fd)

    def remove(self, fd: int) -> None:
        """Forget `fd`."""
        if fd in self._idle:
            self._idle.discard(fd)
        else:
            try:
                self._selector.unregister(fd)
            except (OSError, KeyError):  # other code has closed it
                pass

    def poll(self, timeout: float | None, most: int) -> list[tuple[int, int]]:  # noqa: ARG002
        """Wait at most `timeout` seconds; None waits for ever. `most` is epoll's: here all come at once."""
        return [
            (
                key.fd,
                (READ if events & selectors.EVENT_READ else 0)
                | (WRITE if events & selectors.EVENT_WRITE else 0),
            )
            for key, events in self._selector.select(timeout)
        ]

    def close(self) -> None:
        """Give the selector's own descriptor back."""
        self._selector.close()


def _events(mask: int) -> int:
    return (selectors.EVENT_READ if mask & READ else 0) | (selectors.EVENT_WRITE if mask & WRITE else 0)


def choose_poller() -> Poller:
    """The best that this system has."""
    return EpollPoller() if originals.epoll is not None else SelectorPoller()
