"""Which calls has the hub to make later, and how long may it wait for events until the next one?"""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING

from pytest_sockets.originals import monotonic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_sockets.servers.hosted import Handler


class Timer:
    """A call at a later time, unless `cancel()` comes first."""

    __slots__ = ("call", "owner")

    def __init__(self, call: Callable[[], None], owner: Handler) -> None:
        self.call: Callable[[], None] | None = call
        self.owner = owner

    def cancel(self) -> None:
        """Never call it."""
        self.call = None


class Timers:
    """All timers of one hub. Everything but `seconds_to_next` is to be used under the hub's lock."""

    def __init__(self) -> None:
        self.heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._sleeps_until: float | None = None

    def add(self, due: float, timer: Timer) -> bool:
        """Add a timer; returns true if a hub that waits now would wake too late for it."""
        heapq.heappush(self.heap, (due, next(self._order), timer))
        return self._sleeps_until is None or due < self._sleeps_until

    def seconds_to_next(self) -> float:
        """How long the hub may wait for events."""
        # Without the lock: a timer that another thread adds right now finds None and wakes the poll that follows.
        self._sleeps_until = None
        try:
            self._sleeps_until = due = self.heap[0][0]
        except IndexError:  # another thread took the last one
            return 0.0
        return max(0.0, due - monotonic())

    def take_due(self, now: float) -> Iterator[tuple[Handler, Callable[[], None]]]:
        """Take out those whose time has come, one by one: owner and call. A call may add timers that are due at once."""
        self._sleeps_until = None
        while self.heap and self.heap[0][0] <= now:
            timer = heapq.heappop(self.heap)[2]
            if timer.call is not None:
                yield timer.owner, timer.call
