"""The one back-off loop: short waits first, then longer ones, always with a deadline; for sync code, asyncio and trio.

The clocks are taken at import, so that a test that freezes or replaces `time` does not freeze a wait of ours. They are
objects of our own: freezegun replaces what is a function of `time` in every module, under any name.
"""

from __future__ import annotations

import functools
import sys
import time
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    T = TypeVar("T")

FIRST_PAUSE: Final = 0.001
LONGEST_PAUSE: Final = 0.05

# A system clock by its number: time-machine replaces what is inside time.monotonic itself. Windows and macOS have others.
monotonic: Callable[[], float] = (
    functools.partial(time.clock_gettime, time.CLOCK_MONOTONIC)
    if sys.platform == "linux"
    else functools.partial(time.monotonic)
)
"""What `time.monotonic()` gives when nobody has replaced it."""
boot_time: Callable[[], float] | None = (
    functools.partial(time.clock_gettime, time.CLOCK_BOOTTIME) if sys.platform == "linux" else None
)
"""Seconds since the machine was started, those in suspension among them: the clock of /proc; None elsewhere."""
wall_clock: Callable[[], float] = functools.partial(time.time)
"""What `time.time()` gives when nobody has replaced it."""
_sleep: Callable[[float], None] = functools.partial(time.sleep)


def pauses(
    timeout: float,
    *,
    clock: Callable[[], float] = monotonic,
    first: float = FIRST_PAUSE,
    longest: float = LONGEST_PAUSE,
) -> Iterator[float]:
    """Seconds to pause between looks: `first`, doubling up to `longest`, the last one cut at the deadline."""
    deadline = clock() + timeout
    pause = first
    while (left := deadline - clock()) > 0:
        yield min(pause, left)
        pause = min(pause * 2, longest)


def wait_until(
    look: Callable[[], T],
    timeout: float,
    *,
    clock: Callable[[], float] = monotonic,
    sleep: Callable[[float], None] = _sleep,
    longest: float = LONGEST_PAUSE,
) -> T:
    """Look until the answer is true or `timeout` seconds have passed; returns the last answer. Looks at least once."""
    __tracebackhide__ = True
    answer = look()
    for pause in () if answer else pauses(timeout, clock=clock, longest=longest):
        sleep(pause)
        answer = look()
        if answer:
            break
    return answer


async def async_wait_until(look: Callable[[], T], timeout: float, *, longest: float = LONGEST_PAUSE) -> T:
    """`wait_until` that sleeps in the running event loop, asyncio's or trio's."""
    __tracebackhide__ = True
    answer = look()
    for pause in () if answer else pauses(timeout, longest=longest):
        await _async_sleep(pause)
        answer = look()
        if answer:
            break
    return answer


async def _async_sleep(seconds: float) -> None:
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        await trio.sleep(seconds)
        return
    import asyncio

    await asyncio.sleep(seconds)
