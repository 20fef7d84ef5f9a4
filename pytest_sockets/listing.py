"""A socket table as text: the whole as `ss` prints it, and one line for a repr. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_sockets.entry import SocketEntry

_HEADER: Final = ("Netid", "State", "Local Address:Port", "Peer Address:Port", "Process")
_SHOWN: Final = 3


def table_text(table: Iterable[SocketEntry]) -> str:
    """Return aligned columns under a header, with one line for each socket and all its processes."""
    rows: dict[object, list[SocketEntry]] = {}
    for number, entry in enumerate(table):
        rows.setdefault(entry.inode or (number,), []).append(entry)
    return columns([_HEADER, *(_row(entries) for entries in rows.values())])


def _row(entries: list[SocketEntry]) -> tuple[str, ...]:
    entry = entries[0]
    users = ",".join(f"(pid={one.pid},fd={one.fd})" for one in entries if one.pid is not None)
    remote = str(entry.remote) if entry.remote else "*:*" if entry.local.port is not None else "*"
    status = "-" if entry.status == "NONE" else entry.status
    return entry.protocol, status, str(entry.local), remote, f"users:({users})" if users else ""


def columns(rows: Sequence[tuple[str, ...]], gap: str = "  ") -> str:
    """Return rows of equal length as left-aligned columns, without trailing spaces."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        gap.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def short_text(table: Sequence[SocketEntry]) -> str:
    """Return one line for the repr of a table, which pytest cuts at 240 characters."""
    entries = table[:_SHOWN]
    more = f", and {len(table) - _SHOWN} more" if len(table) > _SHOWN else ""
    shown = ", ".join(f"{entry}{f' pid {entry.pid}' if entry.pid is not None else ''}" for entry in entries)
    return f"<SocketTable of {len(table)}{': ' if shown else ''}{shown}{more}>"
