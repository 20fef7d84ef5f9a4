"""The back-off loop of every wait: short pauses first, then longer ones, always with a deadline."""

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
"""Exceptions that mean a mistake in a user's check. Any other exception may mean "not yet"."""
FIRST_PAUSE: Final = 0.001
LONGEST_PAUSE: Final = 0.05


def checked_timeout(value: object) -> float:
    """Return `value` as finite, non-negative seconds. Raises `QueryError`, or `QueryTypeError` for a non-number."""
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
    """Yield the seconds to pause between looks: `first`, doubling up to `longest`, the last one cut at the deadline."""
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
    """Look until the answer is true or `timeout` seconds have passed; return the last answer. Looks at least once."""
    __tracebackhide__ = True
    answer = look()
    for pause in () if answer else pauses(timeout, clock=clock, longest=longest):
        sleep(pause)
        answer = look()
        if answer:
            break
    return answer


async def async_wait_until(look: Callable[[], Any], timeout: float, *, longest: float = LONGEST_PAUSE) -> Any:
    """Wait like `wait_until`, in an asyncio or trio event loop; `look` may be asynchronous."""
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
    """Return the library of the running event loop, "asyncio" or "trio"; None outside an event loop."""
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
