"""What every fault has in common: which connections it is for, how often it acts, how its setting is checked.

A fault is a frozen value: it can be shared by servers and compared. What it does to one direction of one connection is
a `Stage`, made by `Fault.stage`; how often it acted on one server is counted by `ActiveFault`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, Protocol

from pytest_sockets.errors import BlamesTheCall, SettingError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

STREAMS: Final = frozenset({"tcp", "unix", "tls"})
DIRECTIONS: Final = ("in", "out", "both")
_SELECTORS: Final = frozenset({"times", "connections", "direction", "rate", "seed"})


class Ending(NamedTuple):
    """The end of one direction, on its way through the stages like data: `kind` is "close", "cut" (a close
    without TLS's good-bye), "half" or "reset"."""

    kind: str
    by: str


class Link(Protocol):
    """What a stage may do to its connection."""

    def time(self) -> float:
        """Seconds of the monotonic clock."""

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Make `call()` in so many seconds if the connection is open then."""

    def hold_reading(self) -> None:
        """Read nothing more from the client."""

    def resume_reading(self) -> None:
        """Read again."""


class Place(NamedTuple):
    """Where a stage works: its connection and direction, leave to act, the fault's random numbers for this place."""

    link: Link
    acts: Callable[[], bool]
    rng: Callable[[], random.Random]
    direction: str


class Stage:
    """One fault at work on one direction of one stream. This one does nothing."""

    def __init__(self, at: Place) -> None:
        self.link = at.link
        self.acts = at.acts
        self.held = 0  # bytes that it keeps back
        self.pass_on: Callable[[bytes], None] = _nowhere
        self.pass_end: Callable[[Ending], None] = _nowhere

    def started(self) -> None:
        """The stage is in force now: at accept, or when a test sets the fault on an open connection."""

    def data(self, data: bytes) -> None:
        """Some bytes come in."""
        self.pass_on(data)

    def end(self, ending: Ending) -> None:
        """The end comes in."""
        self.pass_end(ending)

    def release(self) -> None:
        """The fault was taken away: pass on what is kept back."""


class DatagramLink(Protocol):
    """What a datagram stage may do."""

    def time(self) -> float:
        """Seconds of the monotonic clock."""

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Make `call()` in so many seconds if the server runs then."""


class Datagram(NamedTuple):
    """Payload and address of the client."""

    data: bytes
    address: Any
    via: Any = None
    """The server's socket that it came in by and that the answer goes out by."""


class DatagramPlace(NamedTuple):
    """Where a datagram stage works; `acts` is asked for every datagram."""

    link: DatagramLink
    acts: Callable[[], bool]
    rng: Callable[[], random.Random]


class DatagramStage:
    """One fault at work on one direction of a UDP server."""

    def __init__(self, at: DatagramPlace) -> None:
        self.link = at.link
        self.acts = at.acts
        self.pass_on: Callable[[Datagram], None] = _nowhere

    def datagram(self, datagram: Datagram) -> None:
        """A datagram comes in."""
        self.pass_on(datagram)

    def release(self) -> None:
        """The fault was taken away: pass on what is kept back."""


def _nowhere(_: object) -> None:
    raise AssertionError("a stage was used before it was linked")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Fault(metaclass=BlamesTheCall):
    """The settings that every fault takes, all by name.

    `times`: act so often at most (on so many connections; for UDP on so many datagrams). `connections`: only those, counted
    from 0 in the order of accept as in `server.connections`; an int k means the first k. `direction`: "out" is what
    the client receives, "in" what it sends, "both" is both. `rate`: the share, 0 to 1, of connections (for UDP of
    datagrams) that the fault is for, drawn at random from `seed`. The same seed chooses the same ones; without one it
    is drawn, and `repr()` shows it.
    """

    transports: ClassVar[frozenset[str]] = STREAMS

    times: int | None = None
    connections: int | Collection[int] | None = None
    direction: str = "out"
    rate: float = 1.0
    seed: int | None = None

    def __post_init__(self) -> None:
        self._share("rate")
        if self.times is not None:
            self._at_least("times", 1, whole=True)
        if self.direction not in DIRECTIONS:
            self._bad("direction", 'use "in", "out" or "both"')
        self._check_connections()
        self._check()
        if self.seed is None and self._is_random():
            object.__setattr__(self, "seed", fresh_seed())

    def _is_random(self) -> bool:
        """Whether anything is drawn, so that a seed is needed."""
        return self.rate < 1

    def __repr__(self) -> str:
        """As one would type it; a seed is always shown: it is what makes a failure come again."""
        shown = []
        for field in sorted(dataclasses.fields(self), key=lambda field: field.name in _SELECTORS):
            value = getattr(self, field.name)
            if field.name not in _SELECTORS or value != field.default:
                shown.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def _check(self) -> None:
        """A subclass's own settings."""

    def _check_connections(self) -> None:
        wanted = self.connections
        if wanted is None:
            return
        if isinstance(wanted, int):
            good = _is_whole(wanted) and wanted >= 1
        elif isinstance(wanted, Collection) and not isinstance(wanted, (str, bytes)):
            good = bool(wanted) and all(_is_whole(number) and number >= 0 for number in wanted)
        else:
            good = False
        if not good:
            self._bad(
                "connections", "use a number from 1 (the first so many), or a collection of numbers from 0"
            )

    def _at_least(self, name: str, low: float, *, whole: bool = False) -> None:
        value = getattr(self, name)
        good = _is_whole(value) if whole else _is_number(value)
        if not good or not low <= value < math.inf:
            self._bad(name, f"use {'a whole number, ' if whole else ''}{low:g} or more")

    def _above(self, name: str, low: float) -> None:
        value = getattr(self, name)
        if not _is_number(value) or not low < value < math.inf:
            self._bad(name, f"use a number above {low:g}")

    def _share(self, name: str) -> None:
        value = getattr(self, name)
        if not _is_number(value) or not 0 <= value <= 1:
            self._bad(name, "use a share from 0 to 1, such as 0.3")

    def _bad(self, name: str, advice: str) -> None:
        raise SettingError(f"{type(self).__name__}({name}={getattr(self, name)!r}): {advice}")

    @property
    def closed_by(self) -> str:
        """What `ConnectionRecord.closed_by` says of a connection that it ended."""
        return f"fault:{type(self).__name__}"

    def is_for(self, number: int) -> bool:
        """True for the connection with that number."""
        wanted = self.connections
        if wanted is not None and not (number < wanted if isinstance(wanted, int) else number in wanted):
            return False
        return self.rate >= 1 or self.random(f"{number}/chosen").random() < self.rate

    def random(self, what: str) -> random.Random:
        """The fault's own random numbers for `what`: the same for the same seed."""
        import random

        return random.Random(f"{self.seed or 0}/{what}")  # noqa: S311  (reproducible is the point)

    def works_in(self, direction: str) -> bool:
        """True for "in" or "out" if the fault acts there."""
        return self.direction in (direction, "both")

    def stage(self, at: Place) -> Stage:
        """The fault at work on one direction of one stream."""
        raise NotImplementedError

    def datagram_stage(self, at: DatagramPlace) -> DatagramStage:
        """The fault at work on one direction of a UDP server."""
        raise NotImplementedError


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def fresh_seed() -> int:
    """A seed that a failure can print. From the system, never from `random`: plugins seed that alike in every worker."""
    import os

    return int.from_bytes(os.urandom(4), "big")


class ActiveFault:
    """A fault on one server, with the count of how often it may still act."""

    __slots__ = ("fault", "left")

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.left = fault.times

    def take(self) -> bool:
        """True if the fault may act once more; counts it."""
        if self.left is None:
            return True
        if self.left <= 0:
            return False
        self.left -= 1
        return True

    def claim(self) -> Callable[[], bool]:
        """For one connection: asks once, when the fault first wants to act, and keeps the answer for both directions."""
        answer: list[bool] = []

        def acts() -> bool:
            if not answer:
                answer.append(self.take())
            return answer[0]

        return acts

    def rng(self, what: str) -> Callable[[], random.Random]:
        """Makes the fault's own random numbers for `what` (a connection and direction): the same for the same seed."""

        return lambda: self.fault.random(what)

    def chance(self, what: str) -> Callable[[], bool]:
        """For datagrams: asks for each one whether the fault is for it. One number is drawn, whatever comes of it."""
        rate = self.fault.rate
        if rate >= 1:
            return self.take
        draw = self.fault.random(what).random
        return lambda: draw() < rate and self.take()


def check_faults(faults: object, transport: str) -> tuple[Fault, ...]:
    """The faults, if all of them work on `transport`; else a `SettingError` that names the one."""
    if isinstance(faults, Fault) or not isinstance(faults, Iterable) or isinstance(faults, (str, bytes)):
        faults = (faults,)
    checked = []
    for fault in faults:
        if not isinstance(fault, Fault):
            hint = f"; use {fault.__name__}(...)" if isinstance(fault, type) else ""
            raise SettingError(f"{fault!r} is no fault{hint}; they are in pytest_sockets.faults")
        if transport not in fault.transports:
            works = ", ".join(sorted(fault.transports))
            raise SettingError(f"{type(fault).__name__} does not work on {transport}; it works on {works}")
        if transport == "udp" and fault.connections is not None:
            fault._bad("connections", "UDP has no connections; use times=... for a number of datagrams")
        checked.append(fault)
    return tuple(checked)
