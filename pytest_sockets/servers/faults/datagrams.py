"""Faults that only datagrams know: they are lost, come twice, or in another order."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from pytest_sockets.servers.faults.base import Datagram, DatagramPlace, DatagramStage, Fault

_UDP = frozenset({"udp"})


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class _PerDatagram(Fault):
    transports: ClassVar[frozenset[str]] = _UDP

    rate: float = 1.0


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class Drop(_PerDatagram):
    """Each datagram is lost with probability `rate`: "out" the server's answer, "in" the client's, before it is recorded."""

    def datagram_stage(self, at: DatagramPlace) -> DatagramStage:
        """Loses some."""
        return _DropStage(at)


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class Duplicate(_PerDatagram):
    """Each datagram comes `copies` times more with probability `rate`."""

    copies: int = 1

    def _check(self) -> None:
        self._at_least("copies", 1, whole=True)

    def datagram_stage(self, at: DatagramPlace) -> DatagramStage:
        """Repeats some."""
        return _DuplicateStage(at, self.copies)


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class Reorder(_PerDatagram):
    """Each datagram is kept back with probability `rate` until `gap` later ones have passed, or for `seconds`."""

    gap: int = 1
    seconds: float = 0.1

    def _check(self) -> None:
        self._at_least("gap", 1, whole=True)
        self._above("seconds", 0)

    def datagram_stage(self, at: DatagramPlace) -> DatagramStage:
        """Keeps some back."""
        return _ReorderStage(at, self)


class _DropStage(DatagramStage):
    def datagram(self, datagram: Datagram) -> None:
        if not self.acts():
            self.pass_on(datagram)


class _DuplicateStage(DatagramStage):
    def __init__(self, at: DatagramPlace, copies: int) -> None:
        super().__init__(at)
        self._copies = copies

    def datagram(self, datagram: Datagram) -> None:
        for _ in range(1 + self._copies if self.acts() else 1):
            self.pass_on(datagram)


class _Held:
    __slots__ = ("datagram", "left")

    def __init__(self, datagram: Datagram, left: int) -> None:
        self.datagram = datagram
        self.left = left


class _ReorderStage(DatagramStage):
    def __init__(self, at: DatagramPlace, fault: Reorder) -> None:
        super().__init__(at)
        self._fault = fault
        self._held: list[_Held] = []

    def datagram(self, datagram: Datagram) -> None:
        # One that is kept back cannot itself overtake: with rate=1 every second one of a pair is passed on.
        if not self._held and self.acts():
            held = _Held(datagram, self._fault.gap)
            self._held.append(held)
            self.link.later(self._fault.seconds, lambda: self._let_go(held))
            return
        self.pass_on(datagram)
        for held in tuple(self._held):
            held.left -= 1
            if held.left <= 0:
                self._let_go(held)

    def _let_go(self, held: _Held) -> None:
        if held in self._held:
            self._held.remove(held)
            self.pass_on(held.datagram)

    def release(self) -> None:
        for held in tuple(self._held):
            self._let_go(held)
