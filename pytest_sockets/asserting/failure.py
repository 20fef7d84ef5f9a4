"""Explain why an assertion about a socket table failed. The summary is first, since pytest cuts long texts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets import addresses, matching
from pytest_sockets.addresses import Wanted
from pytest_sockets.asserting import messages
from pytest_sockets.asserting.holder_text import named_test, who_holds
from pytest_sockets.asserting.openers import opener_of
from pytest_sockets.errors import QueryError
from pytest_sockets.model import TIME_WAIT, SocketTable
from pytest_sockets.table import holders as table_holders
from pytest_sockets.table.readers import reader

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sockets.model import SocketEntry

LOOPBACK_ONLY: Final = "loopback_only"
_LINES: Final = 7
_CHARACTERS: Final = 600
"""pytest cuts at 8 lines and 640 characters, and would cut the hint on -vv as well."""


def explain(operator: str, left: object, right: object, *, full: bool = False) -> list[str] | None:
    """Return the lines that explain `left operator right`; None if no socket table is compared. `full` returns all lines."""
    try:
        if operator in ("in", "not in") and isinstance(right, SocketTable):
            lines = _missing(left, right) if operator == "in" else _unwanted(left, right)
        elif (
            operator == "=="
            and isinstance(left, SocketTable)
            and not isinstance(right, SocketTable)
            and right in ([], ())
        ):
            lines = _not_empty(left)
        else:
            return None
    except QueryError:
        return None
    return lines if full else _cut(lines)


def _cut(lines: list[str]) -> list[str]:
    kept: list[str] = []
    room = _CHARACTERS
    for line in lines:
        if len(kept) == _LINES - 1 or (kept and len(line) > room - 60):
            return [*kept, f"... {len(lines) - len(kept)} more lines; -vv shows them"]
        kept.append(line)
        room -= len(line)
    return kept


def _label(table: SocketTable) -> str:
    return f"sockets.{table.label}" if table.label else "the socket table"


def _asked(wanted: object) -> str:
    return repr(wanted)


def _missing(wanted: object, table: SocketTable) -> list[str]:
    head = f"{_asked(wanted)} in {_label(table)}"
    asked = matching.understood(wanted)
    if isinstance(asked, Wanted) and asked.port is not None:
        if table.label == LOOPBACK_ONLY:
            return _not_on_loopback(head, asked, asked.port)
        if table.label in ("listening", ""):
            return _nobody_listens(head, asked, asked.port, table)
    if isinstance(asked, matching.Connection):
        return _no_connection(head, asked)
    found = f"{len(table)} sockets, and none of them matches" if table else "the table is empty"
    return [f"{head}: {found}", *_rows(table)]


def _nobody_listens(head: str, asked: Wanted, port: int, table: SocketTable) -> list[str]:
    near = table.where(lambda entry: entry.local.port == port)
    if near:
        lines = [f"{head}: a process listens on port {port}, but not for {_names(asked.host)}"]
        return lines + [messages.sentence(entry) for entry in near]
    what = "listens on" if table.label == "listening" else "has"
    lines = [f"{head}: nothing {what} {messages.port_text(port)}"]
    held = [
        holder
        for protocol in ("tcp", "udp")
        for holder in who_holds(port, protocol)
        if not holder.entry.is_listening
    ]
    lines += messages.listed((str(holder) for holder in held), 3)
    return lines + _listening_instead()


def _names(host: str | None) -> str:
    if host is None:
        return "any address"
    found = addresses.resolved(host)
    return host if found == (host,) else f"{host} ({', '.join(found)})"


def _listening_instead() -> list[str]:
    pids = [os.getpid(), *table_holders.descendants(os.getpid())]
    mine = table_holders.listening_of(pids)
    others = len(reader().listening()) - len(mine)
    lines = [f"{messages.sentence(entry)} ({entry.protocol})" for entry in mine]
    if not mine:
        lines = ["this process and its children listen on nothing"]
    return [*messages.listed(lines, 4), f"{max(0, others)} sockets of other processes listen on this host"]


def _not_on_loopback(head: str, asked: Wanted, port: int) -> list[str]:
    entries = [entry for entry in reader().listening() if entry.local.port == port]
    exposed = [entry for entry in entries if messages.is_exposed(entry)]
    if exposed:
        lines = [f"{head}: {messages.exposure(exposed[0])}", *map(messages.entry_process, exposed)]
        lines += [messages.exposure(entry) for entry in exposed[1:]]
        return [*lines, "bind it to 127.0.0.1 or ::1 instead"]
    return _nobody_listens(head, asked, port, SocketTable(entries, "listening"))


def _no_connection(head: str, asked: matching.Connection) -> list[str]:
    same = [
        entry
        for entry in reader().system()
        if matching.matcher((_side(asked.first), _side(asked.second)))(entry)
    ]
    if same:
        return [f"{head}: the connection is there, but {same[0].status}", *_rows(same)]
    lines = [f"{head}: there is no such connection"]
    for side in (asked.first, asked.second):
        if side.port is not None:
            near = [entry for entry in reader().connections_on(side.port, "tcp") if entry.status != TIME_WAIT]
            lines += [f"port {side.port} has: {entry}" for entry in near[:2]]
    return lines


def _side(side: Wanted) -> Any:
    return (side.host, side.port) if side.host else side.port


def _unwanted(wanted: object, table: SocketTable) -> list[str]:
    head = f"{_asked(wanted)} not in {_label(table)}"
    holds = matching.matcher(wanted)
    return _with_openers(head, [entry for entry in table if holds(entry)])


def _not_empty(table: SocketTable) -> list[str]:
    number = len(table)
    return _with_openers(
        f"{_label(table)} == []: {number} socket{'s' if number != 1 else ''}", table, always_list=True
    )


def _with_openers(head: str, entries: Iterable[SocketEntry], *, always_list: bool = False) -> list[str]:
    sentences = []
    for entry in entries:
        sentence = messages.sentence(entry)
        sentences.append(f"{sentence}{opened_by(entry)}")
    if len(sentences) == 1 and not always_list:
        return [f"{head}: {sentences[0]}"]
    if not always_list and len({entry.inode for entry in entries}) > 1:
        head = f"{head}: {len(sentences)} holders share it (SO_REUSEPORT or several addresses)"
    return [head, *sentences]


def opened_by(entry: SocketEntry) -> str:
    """Return `, opened by tests/test_a.py::test_x`, or "" if the opener is not known."""
    opener = opener_of(entry.pid, entry.inode)
    if opener is None and entry.pid is not None and entry.pid != os.getpid():
        from pytest_sockets.table import processes

        test = named_test(processes.facts(entry.pid).test)
        return f", started by {test}" if test else ""
    return f", opened by {opener}" if opener else ""


def _rows(entries: Iterable[SocketEntry]) -> list[str]:
    return [f"{entry}{f' pid {entry.pid}' if entry.pid is not None else ''}" for entry in entries]


def new_sockets_text(table: SocketTable, grace: float, status: str | None) -> str:
    """Return the text of a failed `assert_no_new`."""
    wanted = f"{status} " if status else ""
    number = len(table)
    head = f"{number} new {wanted}socket{'s' if number != 1 else ''} since this test's set-up began, after {grace:g} s"
    return "\n".join(_cut(_with_openers(head, table, always_list=True)))
