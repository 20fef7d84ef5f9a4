"""What finalizers raise while we judge, between two tests, is told when the run ends.

Judging collects garbage; it and what it imports allocate enough to make the interpreter collect it. pytest would charge
what the finalizers of any earlier test's garbage raise then to the next test's set-up, and with `filterwarnings = error`
fail that one.
"""

from __future__ import annotations

import collections
import contextlib
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST: Final = 100


class Unraisable:
    """Keeps them, at most a hundred: each may keep the object that was finalized."""

    def __init__(self) -> None:
        self._kept: collections.deque[sys.UnraisableHookArgs] = collections.deque(maxlen=_MOST)

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """What cannot be raised meanwhile is kept."""
        before = sys.unraisablehook
        sys.unraisablehook = self._kept.append
        try:
            yield
        finally:
            sys.unraisablehook = before

    def tell(self) -> None:
        """Hand it to the present `sys.unraisablehook`: pytest shows it at the end of the run."""
        while self._kept:
            sys.unraisablehook(self._kept.popleft())
