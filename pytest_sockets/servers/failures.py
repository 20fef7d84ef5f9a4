"""What went wrong inside a server, and which of it has been reported. Each failure is reported once."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Final

from pytest_sockets.errors import ServerFault
from pytest_sockets.originals import monotonic

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NEVER: Final = math.inf
"""When a connection came that did not come: its handler was never used."""
SHOWN: Final = 5
"""How many further failures an error names."""


@dataclasses.dataclass(slots=True, eq=False)
class Failure:
    """One failure. `error` says which server, where and why; its cause is what the user's own code raised."""

    error: ServerFault
    happened_at: float
    accepted_at: float
    """When the connection came, or when it happened if it concerns no connection."""
    reported: bool = False


class Failures:
    """The failures of one server, in order. The hub and handler threads add them; the test's thread reads them."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._all: list[Failure] = []
        self._excused: list[tuple[float, float]] = []

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Failure]:
        return iter(tuple(self._all))

    def add(
        self,
        error: BaseException,
        where: str,
        *,
        accepted_at: float | None = None,
        is_consequence: bool = False,
    ) -> None:
        """Remember what must fail the test that owns the server.

        `is_consequence`: it also happens when the test fails for another reason and its clients end early.
        """
        now = monotonic()
        since = now if accepted_at is None else accepted_at
        failure = Failure(self._as_fault(error, where), now, since)
        failure.reported = is_consequence and any(first <= since <= last for first, last in self._excused)
        self._all.append(failure)

    def _as_fault(self, error: BaseException, where: str) -> ServerFault:
        if isinstance(error, ServerFault):
            return error
        problem = ServerFault(f"{self._server} failed in {where}: {type(error).__name__}: {error}")
        problem.__cause__ = error
        return problem

    def unreported(self, since: float = 0.0) -> list[Failure]:
        """Those that no test has been failed for, and that happened after `since`."""
        return [one for one in self if not one.reported and one.happened_at >= since]

    def excuse(self, first: float, last: float) -> None:
        """The test failed: what follows from that, for connections accepted between these times, is not a second failure."""
        self._excused.append((first, last))


def combined(failures: Sequence[Failure]) -> ServerFault | None:
    """The first of these as an error that names the others; None without any."""
    if not failures:
        return None
    error, others = failures[0].error, failures[1:]
    error.__notes__ = [f"and: {first_line(other.error)}" for other in others[:SHOWN]]
    if len(others) > SHOWN:
        error.add_note(f"and {len(others) - SHOWN} more")
    return error


def first_line(error: BaseException) -> str:
    """The first line of its text, or its type."""
    return str(error).partition("\n")[0] or type(error).__name__
