"""The threads that this plugin runs for itself, which never count as threads of the suite.

They have no `threading.Thread` object, because suites look for leaked threads with `threading.enumerate()`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pytest_sockets.originals import get_ident, start_new_thread

if TYPE_CHECKING:
    from collections.abc import Callable

_running: dict[object, int | None] = {}
"""One entry for each thread, from before its start until its end. The value is its identifier once it runs."""


def start(function: Callable[..., object], *arguments: Any) -> int:
    """Run `function(*arguments)` in a thread of this plugin. Returns the identifier of the thread."""
    token = object()
    _running[token] = None

    def run() -> None:
        _running[token] = get_ident()
        try:
            function(*arguments)
        finally:
            _running.pop(token, None)

    try:
        return start_new_thread(run, ())
    except BaseException:
        del _running[token]
        raise


def count() -> int:
    """Return how many threads of this plugin are running."""
    return len(_running)


def identifiers() -> frozenset[int]:
    """Return the identifiers of this plugin's running threads."""
    return frozenset(ident for ident in tuple(_running.values()) if ident is not None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_running.clear)
