"""Choose the port numbers for a pool, and find those that the kernel might give to other programs."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_sockets.errors import SettingError
from pytest_sockets.table.port_settings import ephemeral_range, setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Span(NamedTuple):
    """Ports `low` to `high`, both included."""

    low: int
    high: int

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"


PORTSERVER_PORTS: Final = Span(15000, 24999)
"""The default range of portpicker's portserver."""
NODE_PORTS: Final = Span(30000, 32767)
"""The range of Kubernetes services of type NodePort."""
USUAL: Final = Span(10240, 65535)
"""The default range. Most services that a developer's machine may start at any time use lower ports."""
ENOUGH: Final = 1000
"""If fewer ports lie outside the ephemeral range, ports inside it are used too, with placeholders."""


@dataclasses.dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel's settings for port numbers that a pool needs."""

    ephemeral: Span
    reserved: tuple[Span, ...] = ()
    unprivileged_start: int = 1024

    def chosen_by_itself(self) -> tuple[Span, ...]:
        """The ports that bind(0) and connect() may take: the ephemeral range without the administrator's reserved ports."""
        return tuple(without([self.ephemeral], self.reserved))


@dataclasses.dataclass(frozen=True, slots=True)
class PortRanges:
    """The ports to reserve from (`spans`), and those that the kernel may choose (`ephemeral`), which need placeholders."""

    spans: tuple[Span, ...]
    ephemeral: tuple[Span, ...] = ()

    @property
    def count(self) -> int:
        """The number of ports."""
        return sum(span.high - span.low + 1 for span in self.spans)

    @property
    def needs_placeholders(self) -> bool:
        """Whether some ports need placeholders."""
        return without(self.spans, self.ephemeral) != list(self.spans)

    def ports(self) -> list[int]:
        """Return every port."""
        return list(itertools.chain.from_iterable(range(span.low, span.high + 1) for span in self.spans))

    def is_ephemeral(self, port: int) -> bool:
        """Whether the kernel might give this port to any bind(0) or connect()."""
        return contains(self.ephemeral, port)

    def __str__(self) -> str:
        return ", ".join(map(str, self.spans)) or "none"


def contains(spans: Sequence[Span], port: int) -> bool:
    """Whether `port` lies in one of the sorted `spans`."""
    at = bisect.bisect_right(spans, (port, 65536)) - 1
    return at >= 0 and port <= spans[at].high


def without(spans: Iterable[Span], removed: Iterable[Span]) -> list[Span]:
    """Return `spans` minus `removed`, sorted."""
    left = sorted(spans)
    for hole in removed:
        left = [piece for span in left for piece in _cut(span, hole)]
    return left


def _cut(span: Span, hole: Span) -> Iterator[Span]:
    if hole.high < span.low or span.high < hole.low:
        yield span
        return
    if span.low < hole.low:
        yield Span(span.low, hole.low - 1)
    if hole.high < span.high:
        yield Span(hole.high + 1, span.high)


def default_ranges(kernel: Kernel) -> PortRanges:
    """Return the ranges outside the ephemeral range; if they have too few ports, add ports inside it.

    With the default ephemeral range of Linux (32768-60999), these are 14,296 ports: 10240-14999, 25000-29999 and
    61000-65535.
    """
    usable = without(
        [USUAL], [PORTSERVER_PORTS, NODE_PORTS, Span(0, kernel.unprivileged_start - 1), *kernel.reserved]
    )
    outside = PortRanges(tuple(without(usable, [kernel.ephemeral])))
    if outside.count >= ENOUGH:
        return outside
    return PortRanges(tuple(usable), kernel.chosen_by_itself())


def chosen_ranges(low: int, high: int, kernel: Kernel, workers: int = 1) -> PortRanges:
    """Return the range that the user set, including ports that the administrator reserved, perhaps for this purpose.

    Raises SettingError if the range includes privileged ports, or has fewer ports than there are xdist workers.
    """
    if low < kernel.unprivileged_start:
        raise SettingError(
            f"{low}-{high} reaches into the privileged ports below {kernel.unprivileged_start}, "
            f"which are for the machine's services; "
            f"use a range above, such as {USUAL.low}-{PORTSERVER_PORTS.low - 1}"
        )
    ranges = PortRanges((Span(low, high),), kernel.chosen_by_itself())
    if ranges.count < workers:
        raise SettingError(
            f"{low}-{high} is too small: {ranges.count} port{'s' * (ranges.count != 1)} for {workers} pytest-xdist workers; "
            "each needs one at least, and a suite of servers some dozens"
        )
    return ranges


def read_kernel() -> Kernel:
    """Return the system's ephemeral range, reserved ports and first unprivileged port; defaults if it hides them."""
    ephemeral = Span(*ephemeral_range())
    if sys.platform != "linux":
        return Kernel(ephemeral)
    return Kernel(
        ephemeral,
        reserved=parse_spans(setting("ip_local_reserved_ports")),
        unprivileged_start=int(setting("ip_unprivileged_port_start") or 1024),
    )


def parse_spans(text: str) -> tuple[Span, ...]:
    """Parse the kernel's notation: `8080,9148-9150`."""
    pieces = [piece.partition("-") for piece in text.split(",") if piece]
    return tuple(sorted(Span(int(low), int(high or low)) for low, _, high in pieces))
