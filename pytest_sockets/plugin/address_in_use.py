"""Which address was in use, and who holds it: from an exception, captured output and the addresses used last."""

from __future__ import annotations

import collections
import functools
from typing import TYPE_CHECKING, Final

from pytest_sockets.plugin.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

TITLE: Final = "address already in use (pytest-sockets)"


def explanation(error: BaseException, captured: Sequence[str]) -> str | None:
    """Return the text of the section; None if the error, its causes and the output say nothing of the kind."""
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
            return in_use.guessed_explanation(bind_errors.guesses(error), recent.last())
        return in_use.explanation(address)
    except Exception as trouble:  # noqa: BLE001  (an explanation that fails must not hide the error)
        return f"pytest-sockets could not explain it: {type(trouble).__name__}: {trouble}"


class _RecentAddresses:
    """The last addresses that this process bound or connected to.

    A plain bind() error names no address. When the report is made, a `with` block or a cleanup may have closed the socket
    that could have told it.
    """

    def __init__(self) -> None:
        self._seen: collections.deque[object] = collections.deque(maxlen=16)

    def socket_used(self, sock: object, address: object) -> None:  # noqa: ARG002  (of a Listener)
        """bind() or connect() is about to run."""
        self._seen.append(address)

    def socket_created(self, sock: object, family: int, kind: int, frame: object) -> None:
        """Not of interest."""

    def child_started(self, frame: object, words: object) -> None:
        """Not of interest."""

    def forget(self) -> None:
        """A test is over: the error of the next one is not about its addresses."""
        self._seen.clear()

    def addresses(self) -> list[tuple[str, int]]:
        """Newest first."""
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
        """The newest one that was used twice, else the newest: the second of two binds is the one that fails.

        None if the newest is the path of a unix socket: then the error is about that.
        """
        if self._seen and isinstance(self._seen[-1], (str, bytes)):
            return None
        found = self.addresses()
        return next((one for one in found if found.count(one) > 1), found[0] if found else None)


recent: Final = _RecentAddresses()


def watch(config: pytest.Config) -> None:
    """Remember addresses only where the audit hook is there anyway."""
    settings = config.stash[SETTINGS]
    if settings.leaks != "off" or settings.unclosed != "off":
        from pytest_sockets.leaks import audit

        audit.listen(recent, from_the_first=True)
        config.add_cleanup(functools.partial(audit.stop_listening, recent))
