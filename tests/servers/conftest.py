"""What the server tests share: reading exactly, expecting nothing, measuring."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable


class Clients:
    """What a plain blocking client can say about the server at its other end."""

    @staticmethod
    def read(sock: socket.socket, size: int) -> bytes:
        """Exactly `size` bytes, or fewer if the server ends before."""
        pieces: list[bytes] = []
        while size > 0:
            piece = sock.recv(min(size, 1 << 20))
            if not piece:
                break
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    @staticmethod
    def gets_nothing(sock: socket.socket, seconds: float = 0.1) -> bool:
        """True if nothing at all comes: no byte, no end, no reset."""
        before = sock.gettimeout()
        sock.settimeout(seconds)
        try:
            sock.recv(1)
        except TimeoutError:
            return True
        finally:
            sock.settimeout(before)
        return False

    @staticmethod
    def exchange(sock: socket.socket, data: bytes) -> bytes:
        """Send and read as much again."""
        sock.sendall(data)
        return Clients.read(sock, len(data))


@pytest.fixture
def clients() -> type[Clients]:
    """Helpers for plain blocking clients."""
    return Clients


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self.began = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Until now."""
        return time.perf_counter() - self.began


def first_within(limit: float, measure: Callable[[], float], tries: int = 8) -> float:
    """The first measurement up to `limit`, or the best of `tries`: a busy machine can only make a time longer.

    What must not be too short is to be asserted of the result.
    """
    best = float("inf")
    for _ in range(tries):
        best = min(best, measure())
        if best <= limit:
            break
    return best


@pytest.fixture
def stopwatch() -> type[Stopwatch]:
    """Call it to start it."""
    return Stopwatch


@pytest.fixture
def within():
    """`within(limit, measure)`: see `first_within`."""
    return first_within
