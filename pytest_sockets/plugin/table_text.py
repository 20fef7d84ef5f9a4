"""The text of `--sockets-table`: rows under a header, cut to the terminal's width, then a note on hidden rows."""

from __future__ import annotations

import functools
import sys
import time
from typing import TYPE_CHECKING, Final

from pytest_sockets import model
from pytest_sockets.listing import columns
from pytest_sockets.plugin.table_filter import PROTOCOLS, Filter, Line
from pytest_sockets.printable import command_text, printable, short_command, shortened
from pytest_sockets.service_names import service_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sockets.model import Endpoint, SocketEntry
    from pytest_sockets.table.processes import ProcessFacts

_HEADER: Final = ("Proto", "Status", "Local address", "Remote address", "User", "PID", "Process")
_LEFT_HEADER: Final = ("PID", "Started", "Listens on", "Test", "Process")
_NARROWEST: Final = 20


def sockets(table: Iterable[SocketEntry], chosen: Filter, width: int) -> str:
    """Return the matching lines, sorted, and a footer."""
    names = functools.cache(_process)
    lines = [Line(entry, names(entry.pid), _user(entry)) for entry in table]
    shown = sorted(filter(chosen.holds, lines), key=_order)
    return _page([_HEADER, *map(_cells, shown)], _footer(lines, shown, chosen), width)


def left_overs(width: int) -> str:
    """Return the processes of interrupted or killed runs, with the test that started each."""
    from pytest_sockets.table import holders
    from pytest_sockets.table.left_overs import left_overs as find

    found = find()
    listening: dict[int | None, list[str]] = {}
    for entry in holders.listening_of([facts.pid for facts in found], unix=True):
        listening.setdefault(entry.pid, []).append(f"{entry.protocol} {entry.local}")
    rows = [_left_cells(facts, listening.get(facts.pid, [])) for facts in found]
    count = (
        f"{len(found)} process{'es' * (len(found) != 1)} left over from runs that were interrupted or killed"
    )
    footer = [
        count,
        f"end {'it' if len(found) == 1 else 'them'}: kill {' '.join(str(one.pid) for one in found)}",
    ]
    return _page([_LEFT_HEADER, *rows], footer if found else footer[:1], width)


def _page(rows: list[tuple[str, ...]], footer: list[str], width: int) -> str:
    most = max(width, _NARROWEST)
    rows = _fitted(rows, most)
    return "\n".join([*(shortened(row, most) for row in columns(rows).splitlines()), "", *footer]) + "\n"


def _fitted(rows: list[tuple[str, ...]], most: int) -> list[tuple[str, ...]]:
    """The same rows with command lines, the last column, that fit beside the others; a narrow terminal cuts them off."""
    room = most - sum(max(map(len, column)) + 2 for column in list(zip(*rows, strict=True))[:-1])
    if room < _NARROWEST:
        return rows
    return [(*row[:-1], _shown_process(row[-1], room)) for row in rows]


def _shown_process(text: str, room: int) -> str:
    name, colon, command = text.partition(": ")
    if not colon or " " in name or len(name) + len(colon) > room // 2:
        return short_command(text, room)
    return f"{name}: {short_command(command, room - len(name) - len(colon))}"


def _cells(line: Line) -> tuple[str, ...]:
    entry = line.entry
    return (
        entry.protocol,
        "-" if entry.status == model.NONE else entry.status,
        _place(entry.local, entry.protocol),
        _place(entry.remote, entry.protocol) if entry.remote else "-",
        line.user,
        str(entry.pid or "-"),
        line.process,
    )


def _order(line: Line) -> tuple[object, ...]:
    """Return a sort key: protocol, listeners first, then port and address."""
    entry = line.entry
    rank = model.STATUSES.index(entry.status) if entry.status in model.STATUSES else len(model.STATUSES)
    return PROTOCOLS.index(entry.protocol), rank, entry.local.port or 0, entry.local.host, entry.pid or 0


def _left_cells(facts: ProcessFacts, listening: list[str]) -> tuple[str, ...]:
    from pytest_sockets.asserting.holder_text import named_test

    started = (
        "-" if facts.started is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(facts.started))
    )
    places = ", ".join(listening[:3]) + ", ..." * (len(listening) > 3)
    test = named_test(facts.test) or "-"
    worker = f" [{shortened(printable(facts.worker), 20)}]" if facts.worker else ""
    return str(facts.pid), started, places or "-", f"{test}{worker}", command_text(facts.command_line or "-")


def _footer(lines: list[Line], shown: list[Line], chosen: Filter) -> list[str]:
    said = [f"{len(shown)} of {len(lines)} sockets"]
    unix = sum(line.entry.protocol == "unix" for line in lines)
    if unix and not any(line.entry.protocol == "unix" for line in shown):
        said[0] += f"; {unix} unix sockets are not shown ({chosen.asked.format('unix')})"
    if not shown:
        said += chosen.hints
    hidden = sum(line.entry.pid is None and line.entry.inode is not None for line in shown)
    if hidden:
        said.append(
            f"{hidden} of them belong to processes that are not visible to this user; run it as root to see them"
        )
    return said


def _place(endpoint: Endpoint, protocol: str) -> str:
    name = service_name(endpoint.port, protocol) if endpoint.port and protocol != "unix" else None
    return f"{endpoint} ({name})" if name else str(endpoint)


def _process(pid: int | None) -> str:
    if pid is None:
        return "-"
    from pytest_sockets.table import holders, processes

    name = processes.name(pid)
    command = holders.command_line(pid)
    return f"{name}: {command}" if name and command else name or command or "-"


def _user(entry: SocketEntry) -> str:
    if entry.uid is not None:
        return _user_name(entry.uid)
    if entry.pid is not None:
        from pytest_sockets.table import processes

        return printable(processes.facts(entry.pid).user or "-")
    return "-"


@functools.lru_cache(256)
def _user_name(uid: int) -> str:
    if sys.platform == "win32":
        return str(uid)
    import pwd

    try:
        return printable(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return str(uid)
