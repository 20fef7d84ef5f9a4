"""Match the two ends of a connection. They count as one leak. An accepted end belongs to its live listener or client."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from pytest_sockets import model

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from pytest_sockets.leaks.records import Record
    from pytest_sockets.leaks.registry import Registry
    from pytest_sockets.model import SocketEntry

_IN_USE: Final = (model.LISTEN, model.ESTABLISHED)


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """A leaked socket, described at the time of judgement."""

    record: Record
    entry: SocketEntry
    note: str | None = None


class ConnectionEnds:
    """Remembers which ends have been reported in this run."""

    def __init__(self) -> None:
        self._named: set[Hashable] = set()

    def each_once(self, records: list[Record]) -> list[Verdict]:
        """Return a verdict for each connection, and for each unconnected socket."""
        verdicts: list[Verdict] = []
        for record, entry in _in_order(records):
            if self.is_other_end(record, entry):
                _add_other_end(verdicts, record, entry)
            else:
                verdicts.append(Verdict(record, entry, _note(record)))
        return verdicts

    def is_other_end(self, record: Record, entry: SocketEntry) -> bool:
        """Whether the opposite end of this connection has been reported. If not, remember this end."""
        ends = list(_ends(record, entry))
        if any(other in self._named for _, other in ends):
            return True
        self._named.update(this for this, _ in ends)
        return False


def living_end(record: Record, ledger: Registry) -> Record | None:
    """Return the listener that accepted this socket, or the client at its other end, if a live owner has it."""
    listener, entry = record.listener, record.entry
    if listener is not None and listener.is_open and not listener.owner.over:
        return listener
    other = None
    if entry is not None and entry.protocol == "unix":
        peer = _unix_peers().get(entry.inode or 0)
        other = ledger.by_inode(peer) if peer is not None else None
    elif entry is not None and entry.remote is not None:
        other = next((one for one in ledger.open_records() if _is_opposite(one, entry)), None)
    return other if other is not None and not other.owner.over else None


def _is_opposite(record: Record, entry: SocketEntry) -> bool:
    other = record.entry if not record.owner.over else None
    return other is not None and (other.local, other.remote) == (entry.remote, entry.local)


def _ends(record: Record, entry: SocketEntry) -> Iterator[tuple[Hashable, Hashable]]:
    """Yield pairs of keys, for this end and the other one; none for an unconnected socket."""
    if entry.protocol == "tcp" and entry.remote is not None:
        yield (entry.local, entry.remote), (entry.remote, entry.local)
    if (
        entry.protocol == "unix" and record.pair is not None
    ):  # socketpair() makes two unnamed ends in one call
        key, end = record.pair
        yield (key, end), (key, 1 - end)
    if entry.protocol == "unix" and entry.inode is not None:
        yield ("unix", entry.inode), ("unix", _unix_peers().get(entry.inode))


def _in_order(records: list[Record]) -> list[tuple[Record, SocketEntry]]:
    """Return the open sockets. The end that the user's code connected comes first, since the accepted end follows from it.

    Of several sockets that one line opened, listeners and connected sockets come first.
    """
    opened = [(record, entry) for record in records if (entry := record.entry) is not None]
    lines: dict[object, int] = {}
    for record, _ in opened:
        lines.setdefault(record.call_site or record, len(lines))

    def place(pair: tuple[Record, SocketEntry]) -> tuple[bool, int, bool]:
        record, entry = pair
        return record.accepted, lines[record.call_site or record], entry.status not in _IN_USE

    return sorted(opened, key=place)


def _add_other_end(verdicts: list[Verdict], record: Record, entry: SocketEntry) -> None:
    """Note that both ends are open if the user's code opened both. An accepted end is reported with its client."""
    if not record.on_test_thread or record.call_site is None or not record.call_site.called_by_user:
        return
    others = {other for _, other in _ends(record, entry)}
    for position, verdict in enumerate(verdicts):
        named = (this for this, _ in _ends(verdict.record, verdict.entry))
        if verdict.record.owner is record.owner and not others.isdisjoint(named):
            note = "; ".join(filter(None, [verdict.note, f"its other end (fd {entry.fd}) is open, too"]))
            verdicts[position] = dataclasses.replace(verdict, note=note)
            return


def _note(record: Record) -> str | None:
    if record.duplicate_of is not None:
        return f"a duplicate of descriptor {record.duplicate_of[0]} (os.dup or an inherited copy)"
    if record.owner is not record.opener:
        return f"opened by {record.opener}, kept by {record.owner}"
    return None


def _unix_peers() -> dict[int, int]:
    """Return the inode of each unix socket's peer, since an unnamed peer has no address to identify it."""
    from pytest_sockets.table import sock_diag

    try:
        return sock_diag.unix_peers()
    except sock_diag.SockDiagMissing:
        return {}
