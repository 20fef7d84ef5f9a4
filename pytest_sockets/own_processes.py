"""The helper processes that pytest-sockets starts for itself.

Leak detection ignores these helpers and their descendants, as it ignores sockets of `real_socket`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from pytest_sockets.originals import get_ident

if TYPE_CHECKING:
    from collections.abc import Iterator

pids: Final[set[int]] = set()
"""The helpers that this process started, while they may still run."""
_starting: Final[set[int]] = set()


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Mark the calling thread as starting a helper: starts in this block do not belong to the suite."""
    thread = get_ident()
    _starting.add(thread)
    try:
        yield
    finally:
        _starting.discard(thread)


def is_starting() -> bool:
    """Whether the calling thread is starting a helper."""
    return get_ident() in _starting
