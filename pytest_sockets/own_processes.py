"""The helper processes that pytest-sockets starts for itself.

Leak detection asks here, as it asks `real_socket` for sockets: neither a helper nor what runs below it belongs to a test.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from pytest_sockets.originals import get_ident

if TYPE_CHECKING:
    from collections.abc import Iterator

pids: Final[set[int]] = set()
"""The helpers that this process has started, for as long as they may run."""
_starting: Final[set[int]] = set()


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """The calling thread starts a helper in this block: audit events of that start are not the suite's."""
    thread = get_ident()
    _starting.add(thread)
    try:
        yield
    finally:
        _starting.discard(thread)


def is_starting() -> bool:
    """Whether the calling thread is starting a helper."""
    return get_ident() in _starting
