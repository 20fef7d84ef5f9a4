"""The one back-off loop: short waits first, then longer ones, always with a deadline; for sync code, asyncio and trio."""

from __future__ import annotations

import sys
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pytest_sockets.errors import QueryError, QueryTypeError
from pytest_sockets.originals import monotonic
from pytest_sockets.originals import pause as _pause

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    T = TypeVar("T")

BUGS: Final = (NameError, TypeError, AttributeError, ImportError)
"""What a user's check raises for a mistake in it. Any other exception may be its way to say "not yet"."""
FIRST_PAUSE: Final = 0.001
LONGEST_PAUSE: Final = 0.05


def checked_timeout(value: object) -> float:
    """Seconds, finite and not negative. Raises `QueryError`, or `QueryTypeError` for what is not a number."""
    __tracebackhide__ = True
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        what = f"{value!r} ({type(value).__name__})"
        raise QueryTypeError(f"{what} is not a number of seconds; use 0 or more, such as 5.0")
    if not 0 <= value < float("inf"):
        raise QueryError(f"{value!r} is not a number of seconds; use 0 or more, such as 5.0")
    return float(value)


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
    sleep: Callable[[float], None] = _pause,
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


async def async_wait_until(look: Callable[[], Any], timeout: float, *, longest: float = LONGEST_PAUSE) -> Any:
    """`wait_until` that sleeps in the running event loop, asyncio's or trio's; `look` may be asynchronous."""
    __tracebackhide__ = True
    answer = await _answer(look)
    for pause in () if answer else pauses(timeout, longest=longest):
        await _async_sleep(pause)
        answer = await _answer(look)
        if answer:
            break
    return answer


async def _answer(look: Callable[[], Any]) -> Any:
    __tracebackhide__ = True
    answer = look()
    return await answer if isinstance(answer, Awaitable) else answer


def running_loop() -> str | None:
    """The kind of event loop that the calling code runs in, "asyncio" or "trio"; None if it runs in none."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        return "trio"
    asyncio = sys.modules.get("asyncio")
    return "asyncio" if asyncio is not None and asyncio._get_running_loop() is not None else None


async def _async_sleep(seconds: float) -> None:
    if running_loop() == "trio":
        await sys.modules["trio"].sleep(seconds)
        return
    import asyncio

    await asyncio.sleep(seconds)
