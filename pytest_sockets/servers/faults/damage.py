"""Faults of content: what arrives is not what was sent."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, ClassVar

from pytest_sockets.servers.faults.base import (
    STREAMS,
    Datagram,
    DatagramPlace,
    DatagramStage,
    Fault,
    Place,
    Stage,
)

if TYPE_CHECKING:
    import random


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class Corrupt(Fault):
    """Each byte is changed to another value with probability `byte_rate`; the length stays.

    Which bytes depends on `seed`, on the connection's number and on their place in the stream, not on how they are cut into
    packets. Over TLS the plain text is changed, so the client's TLS does not notice and the application must.
    """

    transports: ClassVar[frozenset[str]] = STREAMS | {"udp"}

    byte_rate: float = 0.01

    def _check(self) -> None:
        self._share("byte_rate")

    def _is_random(self) -> bool:
        return True

    def stage(self, at: Place) -> Stage:
        """Changes bytes."""
        return _CorruptStage(at, _Damage(at.rng(), self.byte_rate))

    def datagram_stage(self, at: DatagramPlace) -> DatagramStage:
        """Changes bytes."""
        return _CorruptDatagramStage(at, _Damage(at.rng(), self.byte_rate))


class _Damage:
    """Draws the distance to the next bad byte instead of one number per byte: a low rate costs nearly nothing."""

    def __init__(self, rng: random.Random, rate: float) -> None:
        self._rng = rng
        self._scale = None if rate in (0, 1) else math.log1p(-rate)
        self._rate = rate
        self._distance = self._draw()

    def _draw(self) -> float:
        if self._scale is None:
            return 0 if self._rate else math.inf
        return int(math.log1p(-self._rng.random()) / self._scale)

    def hits(self, size: int) -> bool:
        """True if one of the next `size` bytes is bad."""
        if self._distance < size:
            return True
        self._distance -= size
        return False

    def apply(self, data: bytes) -> bytes:
        """The next bytes of the stream, damaged."""
        damaged = bytearray(data)
        while self._distance < len(damaged):
            damaged[int(self._distance)] ^= self._rng.randrange(1, 256)  # never 0: the byte does change
            self._distance += 1 + self._draw()
        self._distance -= len(damaged)
        return bytes(damaged)


class _CorruptStage(Stage):
    def __init__(self, at: Place, damage: _Damage) -> None:
        super().__init__(at)
        self._damage = damage

    def data(self, data: bytes) -> None:
        self.pass_on(self._damage.apply(data) if self._damage.hits(len(data)) and self.acts() else data)


class _CorruptDatagramStage(DatagramStage):
    def __init__(self, at: DatagramPlace, damage: _Damage) -> None:
        super().__init__(at)
        self._damage = damage

    def datagram(self, datagram: Datagram) -> None:
        if self._damage.hits(len(datagram.data)) and self.acts():
            datagram = datagram._replace(data=self._damage.apply(datagram.data))
        self.pass_on(datagram)


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class Truncate(Fault):
    """Only the first `size` bytes arrive, silently: the connection stays open. For UDP: the first of each datagram.

    The client of a stream gets `size` bytes and then a timeout.
    """

    transports: ClassVar[frozenset[str]] = STREAMS | {"udp"}

    size: int

    def _check(self) -> None:
        self._at_least("size", 0, whole=True)

    def stage(self, at: Place) -> Stage:
        """Counts, then swallows."""
        return _TruncateStage(at, self.size)

    def datagram_stage(self, at: DatagramPlace) -> DatagramStage:
        """Cuts each datagram."""
        return _TruncateDatagramStage(at, self.size)


class _TruncateStage(Stage):
    def __init__(self, at: Place, size: int) -> None:
        super().__init__(at)
        self._left = size

    def data(self, data: bytes) -> None:
        if len(data) <= self._left:
            self._left -= len(data)
            self.pass_on(data)
        elif not self.acts():
            self.pass_on(data)
        elif self._left:
            some, self._left = data[: self._left], 0
            self.pass_on(some)


class _TruncateDatagramStage(DatagramStage):
    def __init__(self, at: DatagramPlace, size: int) -> None:
        super().__init__(at)
        self._size = size

    def datagram(self, datagram: Datagram) -> None:
        if len(datagram.data) > self._size and self.acts():
            datagram = datagram._replace(data=datagram.data[: self._size])
        self.pass_on(datagram)
