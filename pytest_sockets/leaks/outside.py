"""Distinguish exceptions that come from outside from errors of this plugin.

A timeout, a signal handler or Ctrl-C can raise between any two instructions, also in this plugin's code. Such an exception
belongs to the user's code and must reach it. An error of this plugin itself is recorded instead.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_PACKAGE: Final = str(Path(__file__).parent.parent)
_FINAL: Final = (KeyboardInterrupt, SystemExit, GeneratorExit)


def comes_from_outside(error: BaseException) -> bool:
    """Whether a signal handler, or another thread, raised `error` while this plugin's code was running."""
    if isinstance(error, _FINAL) or type(error).__name__ == "Exit":  # pytest.exit()
        return True
    traceback = error.__traceback__
    if traceback is None:
        return False
    while traceback.tb_next is not None:
        if _is_signal_handler(traceback, traceback.tb_next):
            return True
        traceback = traceback.tb_next
    # Another thread's asynchronous exception (PyThreadState_SetAsyncExc) has no frame of its own.
    here = traceback.tb_frame.f_code.co_filename.startswith(_PACKAGE)
    home = type(error).__module__
    return here and home != "builtins" and not home.startswith("pytest_sockets")


def _is_signal_handler(outer: TracebackType, inner: TracebackType) -> bool:
    """Whether `inner` is a signal handler. Only a handler gets the interrupted frame, that of its caller, as an argument."""
    for value in tuple(inner.tb_frame.f_locals.values()):
        if value is outer.tb_frame or (
            type(value) is tuple and any(one is outer.tb_frame for one in value)  # `def handler(*args)`
        ):
            return True
    return False


def without_own_frames(error: BaseException) -> BaseException:
    """Return `error` with a traceback that omits this plugin's code."""
    kept: list[TracebackType] = []
    traceback = error.__traceback__
    while traceback is not None:
        if not traceback.tb_frame.f_code.co_filename.startswith(_PACKAGE):
            kept.append(traceback)
        traceback = traceback.tb_next
    clean: TracebackType | None = None
    for entry in reversed(kept):
        clean = types.TracebackType(clean, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return error.with_traceback(clean)


@contextlib.contextmanager
def alarm_paused() -> Iterator[None]:
    """Stop the clock of a timeout that uses `signal.setitimer`, as pytest-timeout does.

    The time of a judgement does not count against the test, and an alarm cannot interrupt the judgement.
    """
    if sys.platform == "win32":
        yield
        return
    remaining, interval = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        yield
    finally:
        if remaining > 0:
            signal.setitimer(signal.ITIMER_REAL, remaining, interval)
