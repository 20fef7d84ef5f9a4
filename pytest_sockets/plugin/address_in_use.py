"""Explain which address was in use and who holds it, from an exception, captured output and recent addresses."""

from __future__ import annotations

import collections
import functools
from typing import TYPE_CHECKING, Final

from pytest_sockets.leaks import address_events, watcher
from pytest_sockets.plugin.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

TITLE: Final = "address already in use (pytest-sockets)"


def explanation(error: BaseException, captured: Sequence[str]) -> str | None:
    """Return the text of the section; None if neither the error, its causes nor the output mention it."""
    from pytest_sockets.asserting import bind_errors

    address = bind_errors.in_error(error)
    if address is None or (address.host is None and address.port is None):
        said = [found for text in captured if (found := bind_errors.in_text(text))]
        address = said[0] if said else address
    if address is None:
        return None
    try:
        from pytest_sockets.asserting import in_use

        if address.host is None and address.port is None:
            last = recent.last()
            inherited = last is not None and recent.may_be_inherited(last[1])
            return in_use.guessed_explanation(bind_errors.guesses(error), last, inherited=inherited)
        return in_use.explanation(address, inherited=recent.may_be_inherited(address.port))
    except Exception as trouble:  # noqa: BLE001  (a failed explanation must not hide the error)
        return f"pytest-sockets could not explain it: {type(trouble).__name__}: {trouble}"


class _RecentAddresses(watcher.Listener):
    """The last addresses that this process bound or connected to.

    A plain bind() error names no address. When the report is made, a `with` block or a cleanup may have closed the
    socket.
    """

    def __init__(self) -> None:
        self._seen: collections.deque[object] = collections.deque(maxlen=16)
        self._order: collections.deque[int | None] = collections.deque(maxlen=256)
        """Ports in the order of their use, including earlier tests; None stands for the start of a child process."""

    def address_used(self, sock: object, address: object) -> None:  # noqa: ARG002
        """Remember the address of a bind() or connect() that is about to run."""
        self._seen.append(address)
        if type(address) is tuple and len(address) >= 2 and type(address[1]) is int:
            self._order.append(address[1])

    def child_starting(self, starter: object, frame: object, command: object) -> None:  # noqa: ARG002
        """Record the start of a child among the uses of ports."""
        self._order.append(None)

    def may_be_inherited(self, port: int | None) -> bool:
        """Whether this process used the port, then started a child, and then used the port again.

        Ports that the kernel chose for bind(0) are not recorded here.
        """
        order = list(self._order)
        if port is None or port not in order or None not in order:
            return False
        last = len(order) - 1 - order[::-1].index(port)
        return None in order[order.index(port) : last]

    def forget(self) -> None:
        """Forget the addresses at the end of a test: the next error is not about them."""
        self._seen.clear()

    def addresses(self) -> list[tuple[str, int]]:
        """Return the addresses, newest first."""
        found = []
        for address in reversed(tuple(self._seen)):
            if (
                isinstance(address, tuple)
                and len(address) >= 2
                and type(address[1]) is int
                and 0 < address[1] <= 65535
            ):
                found.append((str(address[0]), address[1]))
        return found

    def last(self) -> tuple[str, int] | None:
        """Return the newest address that was used twice, else the newest: the second of two binds fails.

        None if the newest is the path of a unix socket: the error is about that path.
        """
        if self._seen and isinstance(self._seen[-1], (str, bytes)):
            return None
        found = self.addresses()
        return next((one for one in found if found.count(one) > 1), found[0] if found else None)


recent: Final = _RecentAddresses()


def watch(config: pytest.Config) -> None:
    """Record addresses only where sockets are watched anyway."""
    settings = config.stash[SETTINGS]
    if settings.leaks != "off" or settings.unclosed != "off":
        watcher.listen(recent)
        address_events.listen(recent)
        config.add_cleanup(functools.partial(watcher.stop_listening, recent))
        config.add_cleanup(functools.partial(address_events.stop_listening, recent))
