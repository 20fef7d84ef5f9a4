"""Report the addresses of bind() and connect(). Audit events also cover sockets that are closed soon after.

An audit hook stays in the interpreter for good (PEP 578), so there is only one. The first listener installs it.
"""

from __future__ import annotations

import sys
import weakref
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.leaks.outside import comes_from_outside, without_own_frames

if TYPE_CHECKING:
    from typing import Protocol

    class AddressListener(Protocol):
        """The receiver of addresses. Called in the thread that uses the address."""

        def address_used(self, sock: Any, address: Any) -> None:
            """Handle an address just before bind() or connect() runs."""


_listeners: Final[weakref.WeakSet[AddressListener]] = weakref.WeakSet()
_hooked: Final[list[object]] = []


def listen(listener: AddressListener) -> None:
    """Report addresses to `listener` for as long as it lives, or until it is discarded."""
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
            raise without_own_frames(error)  # noqa: B904  (it is the same error)
