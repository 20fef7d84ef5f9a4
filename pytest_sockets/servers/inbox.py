"""What a client has sent and its handler has not read yet: filled in the hub, emptied in the handler's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pytest_sockets.originals import allocate_lock, monotonic

if TYPE_CHECKING:
    import _thread
    from collections.abc import Callable

    Outcome = Literal["found", "ended", "gone", "stopped", "timeout"]


class Inbox:
    """Bytes with a condition. One thread waits for them at a time: the handler's.

    `wanted`: the handler waits for more. `ended`: the client sends no more. `gone`: the connection is closed.
    `stopped`: the server stops.
    """

    __slots__ = ("_data", "_lock", "_waiter", "ended", "gone", "stopped", "wanted")

    def __init__(self) -> None:
        self._data = bytearray()
        self._lock = allocate_lock()
        self._waiter: _thread.LockType | None = None
        self.ended = self.gone = self.stopped = self.wanted = False

    def __len__(self) -> int:
        return len(self._data)

    def peek(self) -> bytes:
        """What could be read now."""
        with self._lock:
            return bytes(self._data)

    def take_all(self) -> bytes:
        """What could be read now; it is taken out."""
        with self._lock:
            data = bytes(self._data)
            self._data.clear()
            return data

    def put(self, data: bytes) -> None:
        """Add what the client sent."""
        with self._lock:
            self._data += data
        self.wake()

    def end(self) -> None:
        """The client sends no more."""
        self.ended = True
        self.wake()

    def close(self) -> None:
        """The connection is closed: nothing can be sent either."""
        self.ended = self.gone = True
        self.wake()

    def stop(self) -> None:
        """From now on nothing waits."""
        self.stopped = True
        self.wake()

    def wake(self) -> None:
        """Let the handler look again."""
        with self._lock:
            waiter, self._waiter = self._waiter, None
            if waiter is not None:
                waiter.release()

    def wait(
        self, find: Callable[[bytearray], int | None], timeout: float | None, *, past_end: bool = False
    ) -> tuple[Outcome, bytes]:
        """Wait until `find(data)` is a number of bytes and take them; or until there is a reason to stop waiting.

        `past_end` waits although the client sends no more: for what else `find` looks at.
        """
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            with self._lock:
                size = find(self._data)
                if size is not None:
                    taken = bytes(self._data[:size])
                    del self._data[:size]
                    return "found", taken
                if self.gone:
                    return "gone", b""
                if self.ended and not past_end:
                    return "ended", b""
                if self.stopped:
                    return "stopped", b""
                left = -1.0 if deadline is None else deadline - monotonic()
                if deadline is not None and left <= 0:
                    return "timeout", b""
                waiter = self._waiter = allocate_lock()
                waiter.acquire()
            waiter.acquire(True, left)
