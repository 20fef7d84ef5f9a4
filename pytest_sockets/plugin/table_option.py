"""`pytest --sockets-table[=FILTER]`: print the socket table with its holders and exit."""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
import functools
import shutil
import sys
from typing import TYPE_CHECKING, Final

import pytest

from pytest_sockets import addresses, model
from pytest_sockets.errors import QueryError, quoted
from pytest_sockets.listing import columns
from pytest_sockets.plugin.settings import shortened
from pytest_sockets.service_names import service_name
from pytest_sockets.table.readers import reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_sockets.model import Endpoint, SocketEntry

_HEADER: Final = ("Proto", "Status", "Local address", "Remote address", "User", "PID", "Process")
_PROTOCOLS: Final = ("tcp", "udp", "unix")
_NARROWEST: Final = 20
_LONGEST_PORT: Final = 20  # int() refuses thousands of digits with an error of its own
_HELP: Final = "use a status (LISTEN), :PORT, tcp, udp, unix, a pid or a process name; several must all hold"


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """An entry with the names that the table shows."""

    entry: SocketEntry
    process: str
    user: str

    def cells(self) -> tuple[str, ...]:
        """One cell for each column."""
        entry = self.entry
        return (
            entry.protocol,
            "-" if entry.status == model.NONE else entry.status,
            _place(entry.local, entry.protocol),
            _place(entry.remote, entry.protocol) if entry.remote else "-",
            self.user,
            str(entry.pid or "-"),
            self.process,
        )

    def order(self) -> tuple[object, ...]:
        """Protocol, listeners first, then port and address."""
        entry = self.entry
        rank = model.STATUSES.index(entry.status) if entry.status in model.STATUSES else len(model.STATUSES)
        return _PROTOCOLS.index(entry.protocol), rank, entry.local.port or 0, entry.local.host, entry.pid or 0


def show(config: pytest.Config) -> int:
    """Print the table that `--sockets-table` asks for; exit code 0. Raises `pytest.UsageError` for a wrong filter."""
    text = str(config.getoption("sockets_table"))
    try:
        holds = parse_filter(text)
    except QueryError as error:
        origin = f"command line, --sockets-table={shortened(text)}"
        raise pytest.UsageError(f"pytest-sockets: {origin}: {error}") from None
    sys.stdout.write(render(reader().system(), holds, shutil.get_terminal_size((120, 40)).columns))
    return 0


def parse_filter(text: str) -> Callable[[Line], bool]:
    """All words must hold. Raises `QueryError` for a word that can mean nothing."""
    tests = [_word(word) for word in text.replace(",", " ").split()]
    if not any(word in ("unix",) for word in text.lower().replace(",", " ").split()):
        tests.append(lambda line: line.entry.protocol != "unix")
    return lambda line: all(test(line) for test in tests)


def _word(word: str) -> Callable[[Line], bool]:
    if word.startswith(":"):
        if not word[1:].isdecimal() or len(word) > _LONGEST_PORT:
            raise QueryError(f"{quoted(word)} is no port; {_HELP}")
        port = addresses.checked_port(int(word[1:]))
        return lambda line: port in (line.entry.local.port, line.entry.remote and line.entry.remote.port)
    if word.lower() in _PROTOCOLS:
        return lambda line: line.entry.protocol == word.lower()
    if word.upper() in model.STATUSES:
        # What listens by UDP has no status word, but is what somebody who asks for LISTEN wants to see.
        return functools.partial(_has_status, word.upper())
    if word.isdecimal():
        return lambda line: line.entry.pid == int(word)
    if word.replace("-", "_").isupper() or "/" in word:
        near = difflib.get_close_matches(word.upper().replace("-", "_"), model.STATUSES, 1, 0.5)
        raise QueryError(
            f"{quoted(word)} is no status; " + (f"did you mean {near[0]}? " if near else "") + _HELP
        )
    pattern = word.lower() if any(sign in word for sign in "*?[") else f"*{word.lower()}*"
    return lambda line: fnmatch.fnmatchcase(line.process.lower(), pattern)


def _has_status(status: str, line: Line) -> bool:
    return line.entry.status == status or (status == model.LISTEN and line.entry.is_listening)


def render(table: Iterable[SocketEntry], holds: Callable[[Line], bool], width: int) -> str:
    """The lines that hold, sorted, under a header, cut to `width` columns; then what is not shown and why."""
    lines = [Line(entry, _process(entry.pid), _user(entry)) for entry in table]
    shown = sorted(filter(holds, lines), key=Line.order)
    text = columns([_HEADER, *(line.cells() for line in shown)])
    cut = max(width, _NARROWEST)
    rows = [row if len(row) <= cut else f"{row[: cut - 3]}..." for row in text.splitlines()]
    return "\n".join([*rows, "", *_footer(lines, shown)]) + "\n"


def _footer(lines: list[Line], shown: list[Line]) -> list[str]:
    told = [f"{len(shown)} of {len(lines)} sockets"]
    unix = sum(line.entry.protocol == "unix" for line in lines)
    if unix and not any(line.entry.protocol == "unix" for line in shown):
        told[0] += f"; {unix} unix sockets are not shown (--sockets-table=unix)"
    hidden = sum(line.entry.pid is None and line.entry.inode is not None for line in shown)
    if hidden:
        told.append(
            f"{hidden} of them are held by processes that this user may not look at; a privileged user sees more"
        )
    return told


def _place(endpoint: Endpoint, protocol: str) -> str:
    name = service_name(endpoint.port, protocol) if endpoint.port and protocol != "unix" else None
    return f"{endpoint} ({name})" if name else str(endpoint)


@functools.lru_cache(4096)
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

        return processes.facts(entry.pid).user or "-"
    return "-"


@functools.lru_cache(256)
def _user_name(uid: int) -> str:
    try:
        import pwd

        return pwd.getpwuid(uid).pw_name
    except (ImportError, KeyError):
        return str(uid)
