"""What happens to an error of this plugin? It never changes a test's outcome: the run's summary has one line for it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.leaks.outside import comes_from_outside, without_own_frames

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST: Final = 5


class InternalErrors:
    """The errors of one process, as text; the first few, each once."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def record(self, what: str, error: BaseException) -> None:
        """Record an error of this plugin; raise what came from outside."""
        if comes_from_outside(error):
            try:
                raise without_own_frames(error)
            finally:
                del error  # its traceback has this frame: the cycle would keep the user's objects alive
        text = f"{what}: {type(error).__name__}: {error}"
        if len(self.texts) < _MOST and text not in self.texts:
            self.texts.append(text)


def guarded(method: Callable[..., None]) -> Callable[..., None]:
    """Record what a method of an object with `errors` raises."""

    @functools.wraps(method)
    def guarded(self: Any, *args: Any) -> None:
        try:
            method(self, *args)
        except BaseException as error:  # noqa: BLE001
            self.errors.record(method.__name__.strip("_").replace("_", " "), error)

    return guarded
