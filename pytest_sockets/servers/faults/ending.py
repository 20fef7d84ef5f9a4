"""Faults that end a connection, or leave it hanging."""

from __future__ import annotations

import collections
import dataclasses

from pytest_sockets.servers.faults.base import Ending, Fault, Place, Stage


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class _After(Fault):
    after: int = 0

    def _check(self) -> None:
        self._at_least("after", 0, whole=True)


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class Reset(_After):
    """An RST once `after` bytes have passed; 0: before any, also before a TLS handshake.

    An RST at once would fail the connect() of a client on a busy machine now and then, so the first of these is waited for:
    the client sent something, or 50 ms passed.

    The client gets exactly `after` bytes and then `ConnectionResetError` (a send may give `BrokenPipeError`). A unix
    socket has no RST: its client gets `ConnectionResetError` only if the server had not read all it sent, else b"".
    Before Python 3.12.3 `ssl.SSLSocket.recv()` hides a reset and gives b"".
    """

    def stage(self, at: Place) -> Stage:
        """Counts, then resets."""
        return _TriggerStage(at, self.after, Ending("reset", self.closed_by))


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class Close(_After):
    """An orderly close once `after` bytes have passed; 0: at once. The client gets exactly `after` bytes and then b""."""

    def stage(self, at: Place) -> Stage:
        """Counts, then closes."""
        return _TriggerStage(at, self.after, Ending("close", self.closed_by))


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class HalfClose(_After):
    """The server shuts its sending side once `after` bytes have passed, and goes on reading.

    The client gets `after` bytes and then b"", while its own sends still succeed.
    """

    def stage(self, at: Place) -> Stage:
        """Counts, then shuts down."""
        return _TriggerStage(at, self.after, Ending("half", self.closed_by))


class _TriggerStage(Stage):
    """Passes `after` bytes, then sends its own ending and swallows the rest."""

    def __init__(self, at: Place, after: int, ending: Ending) -> None:
        super().__init__(at)
        self._left = after
        self._ending = ending
        self._fired = False

    def started(self) -> None:
        if self._left == 0:
            self._fire()

    def data(self, data: bytes) -> None:
        if self._left < 0:  # its times are used up
            self.pass_on(data)
            return
        if self._fired:
            return
        if len(data) < self._left:
            self._left -= len(data)
            self.pass_on(data)
            return
        some, rest = data[: self._left], data[self._left :]
        self._left = 0
        if some:
            self.pass_on(some)
        self._fire()
        if rest and not self._fired:
            self.pass_on(rest)

    def _fire(self) -> None:
        if self.acts():
            self._fired = True
            self.pass_end(self._ending)
        else:
            self._left = -1


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class LimitData(Fault):
    """At most `size` bytes pass; the first one beyond them closes the connection.

    Unlike `Close(after=size)` an answer of exactly `size` bytes leaves the connection open. The client gets `size` bytes and
    then b"". Over TLS the end comes without close_notify, as when a line is cut.
    """

    size: int

    def _check(self) -> None:
        self._at_least("size", 0, whole=True)

    def stage(self, at: Place) -> Stage:
        """Counts; closes at the first byte too many."""
        return _LimitStage(at, self.size, Ending("cut", self.closed_by))


class _LimitStage(Stage):
    def __init__(self, at: Place, size: int, ending: Ending) -> None:
        super().__init__(at)
        self._left = size
        self._ending: Ending | None = ending

    def data(self, data: bytes) -> None:
        if self._left >= len(data):
            self._left -= len(data)
            self.pass_on(data)
        elif not self.acts():
            self.pass_on(data)
        elif self._ending is not None:
            if self._left:
                self.pass_on(data[: self._left])
            self._left = 0
            ending, self._ending = self._ending, None
            self.pass_end(ending)


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class Hang(Fault):
    """After `after` bytes nothing passes any more, for `seconds` or as long as the fault is in force.

    The client's recv() times out. With direction "in" or "both" (the default) the server does not even read: a client
    that sends more than the socket buffers take blocks too. When it ends, all that was kept back arrives.
    """

    after: int = 0
    seconds: float | None = None
    direction: str = dataclasses.field(default="both", kw_only=True)

    def _check(self) -> None:
        self._at_least("after", 0, whole=True)
        if self.seconds is not None:
            self._above("seconds", 0)

    def stage(self, at: Place) -> Stage:
        """Counts, then keeps everything back."""
        return _HangStage(at, self, stops_reading=at.direction == "in")


class _HangStage(Stage):
    def __init__(self, at: Place, fault: Hang, *, stops_reading: bool) -> None:
        super().__init__(at)
        self._fault = fault
        self._left = fault.after
        self._stops_reading = stops_reading
        self._hangs = self._over = False
        self._queue: collections.deque[bytes | Ending] = collections.deque()

    def started(self) -> None:
        if self._left == 0:
            self._hang()

    def _hang(self) -> None:
        if not self.acts():
            self._over = True
            return
        self._hangs = True
        if self._stops_reading:
            self.link.hold_reading()
        if self._fault.seconds is not None:
            self.link.later(self._fault.seconds, self.release)

    def data(self, data: bytes) -> None:
        if self._hangs:
            self._queue.append(data)
            self.held += len(data)
        elif self._over or len(data) < self._left:
            self._left -= len(data)
            self.pass_on(data)
        else:
            some, rest = data[: self._left], data[self._left :]
            self._left = 0
            if some:
                self.pass_on(some)
            self._hang()
            if rest:
                self.data(rest)

    def end(self, ending: Ending) -> None:
        if self._hangs:
            self._queue.append(ending)
        else:
            self.pass_end(ending)

    def release(self) -> None:
        if not self._hangs:
            self._over = True
            return
        self._hangs, self._over = False, True
        while self._queue:
            item = self._queue.popleft()
            if isinstance(item, Ending):
                self.pass_end(item)
            else:
                self.held -= len(item)
                self.pass_on(item)
        if self._stops_reading:
            self.link.resume_reading()
