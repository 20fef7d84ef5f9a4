"""Explain which address was in use and who holds it, from an exception, captured output and recent addresses."""

from __future__ import annotations

import _socket
import collections
import functools
import weakref
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.leaks import watcher
from pytest_sockets.leaks.records import fileno
from pytest_sockets.plugin.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

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
    """The addresses of the sockets that were opened last and are still open.

    An error whose traceback shows no bind() call with a readable address may be about one of these.
    """

    def __init__(self) -> None:
        self._test: collections.deque[Callable[[], Any]] = collections.deque(maxlen=16)
        self._run: collections.deque[Callable[[], Any]] = collections.deque(maxlen=256)
        """Also those of earlier tests."""
        self._inherited: set[int] = set()

    def socket_opened(self, sock: Any, frame: object, *, given: bool) -> None:  # noqa: ARG002  (of a Listener)
        """Remember it, weakly."""
        reference = weakref.ref(sock)
        self._test.append(reference)
        self._run.append(reference)

    def child_starting(self, starter: Any, frame: object, command: Any) -> None:  # noqa: ARG002  (of a Listener)
        """The child may inherit what is open now."""
        for address in self._addresses(self._run):
            if type(address) is tuple:
                self._inherited.add(address[1])

    def may_be_inherited(self, port: int | None) -> bool:
        """Whether a socket of this process had the port when it started a child."""
        return port in self._inherited

    def forget(self) -> None:
        """A test is over: the error of the next one is not about its addresses."""
        self._test.clear()

    def last(self) -> tuple[str, int] | None:
        """The newest address of this test; None if that is the path of a unix socket."""
        newest = next(iter(self._addresses(self._test)), None)
        return newest if type(newest) is tuple else None

    @staticmethod
    def _addresses(references: Iterable[Callable[[], Any]]) -> Iterator[Any]:
        """Newest first: (host, port) of each that is bound, and the paths of unix sockets."""
        for reference in reversed(tuple(references)):
            sock = reference()
            if sock is None or fileno(sock) < 0:
                continue
            address: Any = _socket.socket.getsockname(sock)
            if type(address) is not tuple:
                yield address
            elif len(address) >= 2 and type(address[1]) is int and address[1] > 0:
                yield str(address[0]), address[1]


recent: Final = _RecentAddresses()


def watch(config: pytest.Config) -> None:
    """Record addresses only where sockets are watched anyway."""
    settings = config.stash[SETTINGS]
    if settings.leaks != "off" or settings.unclosed != "off":
        watcher.listen(recent)
        config.add_cleanup(functools.partial(watcher.stop_listening, recent))
