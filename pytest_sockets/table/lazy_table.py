"""A table that is read at once and parsed on demand.

Parsing a dump and finding the holders cost more than the dump. So the bytes are read now, and `port in table` looks
only at ports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sockets.model import SocketTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pytest_sockets.model import SocketEntry


class LazyTable(SocketTable):
    """A table from `parse()`, completed by `find_holders(entries)`. `has_port(n)` needs neither.

    A socket that closes between the read and the first look at a holder has no holder.
    """

    __slots__ = ("_complete", "_find_holders", "_has_port", "_parse", "_parsed")

    def __init__(
        self,
        parse: Callable[[], list[SocketEntry]],
        find_holders: Callable[[Iterable[SocketEntry]], list[SocketEntry]],
        has_port: Callable[[int], bool] | None = None,
        label: str = "",
    ) -> None:
        super().__init__((), label)
        self._parse = parse
        self._find_holders = find_holders
        self._has_port = has_port
        self._parsed: list[SocketEntry] | None = None
        self._complete = False

    def without_holders(self) -> Sequence[SocketEntry]:
        if self._complete:
            return self._entries
        if self._parsed is None:
            self._parsed = self._parse()
        return self._parsed

    def _all(self) -> tuple[SocketEntry, ...]:
        if not self._complete:
            self._entries = tuple(self._find_holders(self.without_holders()))
            self._complete = True
        return self._entries

    def __contains__(self, wanted: object) -> bool:
        if type(wanted) is int and 0 < wanted <= 65535 and self._has_port is not None:
            return self._has_port(wanted)
        return super().__contains__(wanted)
