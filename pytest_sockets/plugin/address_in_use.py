"""Explain which address was in use and who holds it, from an exception, captured output and recent addresses."""

from __future__ import annotations

import _socket
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.leaks import watcher
from pytest_sockets.leaks.records import fileno

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_sockets.leaks.records import Record
    from pytest_sockets.leaks.registry import Registry

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
            last = _recent.last()
            inherited = last is not None and _recent.may_be_inherited(last[1])
            return in_use.guessed_explanation(bind_errors.guesses(error), last, inherited=inherited)
        return in_use.explanation(address, inherited=_recent.may_be_inherited(address.port))
    except Exception as trouble:  # noqa: BLE001  (a failed explanation must not hide the error)
        return f"pytest-sockets could not explain it: {type(trouble).__name__}: {trouble}"


class _RecentAddresses(watcher.Listener):
    """The addresses of this run's open sockets.

    An error whose traceback shows no bind() call with a readable address may be about one of these.
    """

    def __init__(self, open_records: Callable[[], list[Record]]) -> None:
        self._open_records = open_records
        self._inherited: set[int] = set()

    def child_starting(self, starter: Any, frame: object, command: Any) -> None:  # noqa: ARG002  (of a Listener)
        """The child may inherit what is open now."""
        self._inherited.update(address[1] for _, address in self._newest_first() if type(address) is tuple)

    def may_be_inherited(self, port: int | None) -> bool:
        """Whether a socket of this process had the port when it started a child."""
        return port in self._inherited

    def last(self) -> tuple[str, int] | None:
        """The newest address of the test that runs; None if that is the path of a unix socket."""
        for record, address in self._newest_first():
            if record.opener.scope == "function" and not record.opener.over:
                return address if type(address) is tuple else None
        return None

    def _newest_first(self) -> Iterator[tuple[Record, Any]]:
        """(host, port) of each that is bound, and the paths of unix sockets."""
        for record in sorted(self._open_records(), key=lambda record: -record.number):
            sock = record.ref()
            if sock is None or fileno(sock) < 0:
                continue
            address: Any = _socket.socket.getsockname(sock)
            if type(address) is not tuple:
                yield record, address
            elif len(address) >= 2 and type(address[1]) is int and address[1] > 0:
                yield record, (str(address[0]), address[1])


_recent = _RecentAddresses(list)


def watch(registry: Registry) -> Callable[[], None]:
    """Explain with the sockets of this registry from now on; returns what ends it. Nested runs follow each other."""
    global _recent
    before, mine = _recent, _RecentAddresses(registry.open_records)
    _recent = mine
    watcher.listen(mine)

    def stop() -> None:
        global _recent
        _recent = before
        watcher.stop_listening(mine)

    return stop
