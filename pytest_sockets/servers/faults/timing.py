"""Faults of time: everything arrives, but late or in pieces."""

from __future__ import annotations

import collections
import dataclasses
from typing import TYPE_CHECKING, ClassVar

from pytest_sockets.servers.faults.base import (
    STREAMS,
    Datagram,
    DatagramPlace,
    DatagramStage,
    Ending,
    Fault,
    Place,
    Stage,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

_STEP = 0.005
"""Seconds between two portions of a `Bandwidth`: short enough to be smooth, long enough to cost little."""


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class Latency(Fault):
    """Everything comes `seconds` later, plus up to `jitter` seconds at random. The client sees a slow answer.

    A stream stays in order, and its end is late too. Datagrams with jitter overtake each other, as on a real network.
    """

    transports: ClassVar[frozenset[str]] = STREAMS | {"udp"}

    seconds: float
    jitter: float = 0.0

    def _check(self) -> None:
        self._at_least("seconds", 0)
        self._at_least("jitter", 0)

    def _is_random(self) -> bool:
        return bool(self.jitter) or self.rate < 1

    def stage(self, at: Place) -> Stage:
        """Holds each piece until it is due."""
        return _LateStage(at, self._drawn(at.rng))

    def datagram_stage(self, at: DatagramPlace) -> DatagramStage:
        """Holds each datagram until it is due."""
        return _LateDatagramStage(at, self._drawn(at.rng))

    def _drawn(self, rng: Callable[[], random.Random]) -> Callable[[], float]:
        if not self.jitter:
            return lambda: self.seconds
        numbers = rng()
        return lambda: self.seconds + self.jitter * numbers.random()


class _LateStage(Stage):
    def __init__(self, at: Place, delay: Callable[[], float]) -> None:
        super().__init__(at)
        self._delay = delay
        self._queue: collections.deque[tuple[float, bytes | Ending]] = collections.deque()

    def data(self, data: bytes) -> None:
        if not self.acts():
            self.pass_on(data)
            return
        self.held += len(data)
        self._push(data)

    def end(self, ending: Ending) -> None:
        if self.acts():
            self._push(ending)
        else:
            self.pass_end(ending)

    def _push(self, item: bytes | Ending) -> None:
        due = self.link.time() + self._delay()
        if self._queue:
            due = max(due, self._queue[-1][0])  # a stream stays in order
        self._queue.append((due, item))
        if len(self._queue) == 1:
            self.link.later(due - self.link.time(), self._ring)

    def _ring(self) -> None:
        now = self.link.time()
        while self._queue and self._queue[0][0] <= now:
            self._pop()
        if self._queue:
            self.link.later(self._queue[0][0] - now, self._ring)

    def _pop(self) -> None:
        item = self._queue.popleft()[1]
        if isinstance(item, Ending):
            self.pass_end(item)
        else:
            self.held -= len(item)
            self.pass_on(item)

    def release(self) -> None:
        while self._queue:
            self._pop()


class _LateDatagramStage(DatagramStage):
    def __init__(self, at: DatagramPlace, delay: Callable[[], float]) -> None:
        super().__init__(at)
        self._delay = delay

    def datagram(self, datagram: Datagram) -> None:
        if self.acts():
            self.link.later(self._delay(), lambda: self.pass_on(datagram))
        else:
            self.pass_on(datagram)


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class Bandwidth(Fault):
    """At most `bytes_per_second` arrive, evenly. The client sees a slow transfer."""

    bytes_per_second: float

    def _check(self) -> None:
        self._above("bytes_per_second", 0)

    def stage(self, at: Place) -> Stage:
        """Passes as many bytes as the time since the last portion allows."""
        return _BandwidthStage(at, self.bytes_per_second)


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class Slice(Fault):
    """Bytes arrive in portions of at most `size`, `pause` seconds apart. The client's recv() gives short reads.

    With `pause=0` the portions are still sent one by one, but a client that is not fast enough finds several at once.
    """

    size: int
    pause: float = 0.001

    def _check(self) -> None:
        self._at_least("size", 1, whole=True)
        self._at_least("pause", 0)

    def stage(self, at: Place) -> Stage:
        """Passes one portion at a time."""
        return _SliceStage(at, self.size, self.pause)


class _PacedStage(Stage):
    """Keeps everything and passes it on in portions: how large and when is the subclass's."""

    def __init__(self, at: Place) -> None:
        super().__init__(at)
        self._queue: collections.deque[memoryview | Ending] = collections.deque()
        self._waits = False

    def portion(self) -> int:
        """How many bytes may pass now; 0 means wait."""
        raise NotImplementedError

    def wait(self) -> float:
        """Seconds until the next portion."""
        raise NotImplementedError

    def data(self, data: bytes) -> None:
        if not self.acts():
            self.pass_on(data)
            return
        self.held += len(data)
        self._queue.append(memoryview(data))
        self._go()

    def end(self, ending: Ending) -> None:
        if self._queue:
            self._queue.append(ending)
        else:
            self.pass_end(ending)

    def _go(self) -> None:
        if not self._waits:
            self._ring()

    def _ring(self) -> None:
        self._waits = False
        while self._queue:
            head = self._queue[0]
            if isinstance(head, Ending):
                self._queue.popleft()
                self.pass_end(head)
                continue
            size = self.portion()
            if not size:
                self._waits = True
                self.link.later(self.wait(), self._ring)
                return
            self._pass_some(head, size)

    def _pass_some(self, head: memoryview, size: int) -> None:
        some, rest = bytes(head[:size]), head[size:]
        if rest:
            self._queue[0] = rest
        else:
            self._queue.popleft()
        self.held -= len(some)
        self.sent(len(some))
        self.pass_on(some)

    def sent(self, size: int) -> None:
        """So many bytes are passed on now."""

    def release(self) -> None:
        while self._queue:
            head = self._queue.popleft()
            if isinstance(head, Ending):
                self.pass_end(head)
            else:
                self.held -= len(head)
                self.pass_on(bytes(head))


class _BandwidthStage(_PacedStage):
    def __init__(self, at: Place, rate: float) -> None:
        super().__init__(at)
        self._rate = rate
        self._paid_until = at.link.time()  # all that was passed on took the line until then

    def _go(self) -> None:
        if not self._waits:
            self._paid_until = max(self._paid_until, self.link.time())  # an idle line saves nothing up
            super()._go()

    def portion(self) -> int:
        budget = (self.link.time() - self._paid_until) * self._rate
        if budget < min(self._rate * _STEP, self.held) - 1e-6:
            return 0
        return int(budget + 1e-6)

    def wait(self) -> float:
        portion = max(1.0, min(self._rate * _STEP, self.held))
        return max(0.0, self._paid_until + portion / self._rate - self.link.time())

    def sent(self, size: int) -> None:
        self._paid_until += size / self._rate


class _SliceStage(_PacedStage):
    def __init__(self, at: Place, size: int, pause: float) -> None:
        super().__init__(at)
        self._size = size
        self._pause = pause
        self._next_at = 0.0

    def portion(self) -> int:
        return self._size if self.link.time() >= self._next_at else 0

    def wait(self) -> float:
        return max(0.0, self._next_at - self.link.time())

    def sent(self, size: int) -> None:  # noqa: ARG002
        self._next_at = self.link.time() + self._pause


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class SlowClose(Fault):
    """The server's close comes `seconds` late: after the client's own, after `Close`, after `server.close_all()`."""

    seconds: float

    def _check(self) -> None:
        self._above("seconds", 0)

    def works_in(self, direction: str) -> bool:
        """Only the way to the client has a close of the server."""
        return direction == "out"

    def stage(self, at: Place) -> Stage:
        """Holds the end."""
        return _SlowCloseStage(at, self.seconds)


class _SlowCloseStage(Stage):
    def __init__(self, at: Place, seconds: float) -> None:
        super().__init__(at)
        self._seconds = seconds
        self._endings: collections.deque[Ending] = collections.deque()

    def end(self, ending: Ending) -> None:
        if ending.kind == "reset" or not self.acts():
            self.pass_end(ending)
            return
        self._endings.append(ending)
        self.link.later(self._seconds, self.release)

    def release(self) -> None:
        while self._endings:
            self.pass_end(self._endings.popleft())
