"""Which addresses are bound and connected to? Only audit events tell those of sockets that are closed soon after.

Their hook stays in the interpreter for good (PEP 578), so there is one, and it is installed when the first listener comes.
"""

from __future__ import annotations

import sys
import weakref
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.leaks.outside import comes_from_outside, without_own_frames

if TYPE_CHECKING:
    from typing import Protocol

    class AddressListener(Protocol):
        """Hears of each address in the thread that uses it."""

        def address_used(self, sock: Any, address: Any) -> None:
            """bind() or connect() with this address is about to run."""


_listeners: Final[weakref.WeakSet[AddressListener]] = weakref.WeakSet()
_hooked: Final[list[object]] = []


def listen(listener: AddressListener) -> None:
    """Let `listener` hear of addresses for as long as it lives, or until it is discarded."""
    _listeners.add(listener)
    if not _hooked:
        _hooked.append(_on_audit_event)
        sys.addaudithook(_on_audit_event)


stop_listening: Final = _listeners.discard


def _on_audit_event(event: str, args: tuple[Any, ...]) -> None:
    if event not in ("socket.bind", "socket.connect") or not _listeners:
        return
    __tracebackhide__ = True
    try:
        for listener in tuple(_listeners):
            listener.address_used(*args)
    except BaseException as error:  # noqa: BLE001  (raised here, it would abort the user's call)
        if comes_from_outside(error):
            raise without_own_frames(error)  # noqa: B904  (it is the same one)
