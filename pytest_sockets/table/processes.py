"""The only module that imports psutil: the portable reader of the socket table, and facts about processes.

psutil takes 10-60 ms for a table, where sock_diag takes microseconds, and 15 ms to import. Import this module on first
use only.
"""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any, Final, cast

import psutil

from pytest_sockets import model
from pytest_sockets.model import Endpoint, SocketEntry
from pytest_sockets.originals import wall_clock
from pytest_sockets.printable import printable, shortened

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sockets.literals import SocketProtocol, Status

_LONGEST_NAME: Final = 60
_GONE: Final = (psutil.Error, OSError)
_PROTOCOLS: Final = {1: "tcp", 2: "udp"}  # SOCK_STREAM, SOCK_DGRAM


@dataclasses.dataclass(frozen=True, slots=True)
class ProcessFacts:
    """The known facts about a process; None for facts that the system hides from this user.

    Any process can choose its name, command line and environment. Make them printable before showing them.
    """

    pid: int
    command_line: str | None = None
    name: str | None = None
    user: str | None = None
    started: float | None = None
    """Seconds since the epoch."""
    status: str | None = None
    test: str | None = None
    """PYTEST_CURRENT_TEST in its environment: the test that was running when the process started."""
    worker: str | None = None
    """PYTEST_XDIST_WORKER in its environment."""
    parent: int | None = None
    """The process id of its current parent."""


def facts(pid: int) -> ProcessFacts:
    """Return all known facts. Never raises."""
    try:
        process = psutil.Process(pid)
    except _GONE:
        return ProcessFacts(pid)
    environment = _ask(process, "environ") or {}
    words = _ask(process, "cmdline")
    return ProcessFacts(
        pid=pid,
        command_line=_joined(words) if words else None,
        name=_ask(process, "name"),
        user=_ask(process, "username"),
        started=_ask(process, "create_time"),
        status=_ask(process, "status"),
        test=environment.get("PYTEST_CURRENT_TEST"),
        worker=environment.get("PYTEST_XDIST_WORKER"),
        parent=_ask(process, "ppid"),
    )


def pids() -> list[int]:
    """Return the ids of all processes that this one can see."""
    return psutil.pids()


def parent(pid: int) -> int | None:
    """Return the process id of a process's current parent, or None."""
    try:
        return psutil.Process(pid).ppid()
    except _GONE:
        return None


def name(pid: int) -> str | None:
    """Return the process's short name, printable, or None."""
    try:
        return shortened(printable(psutil.Process(pid).name()), _LONGEST_NAME)
    except _GONE:
        return None


def _ask(process: psutil.Process, what: str) -> Any:
    try:
        return getattr(process, what)()
    except (*_GONE, ValueError, KeyError, SystemError):  # psutil raises the last three for odd /proc contents
        return None


def command_line(pid: int) -> str | None:
    """Return the command line, or None."""
    try:
        return _joined(psutil.Process(pid).cmdline()) or None
    except _GONE:
        return None


def _joined(words: list[str]) -> str:
    import shlex

    words = [word for word in words if word] if len(words) != 1 else words
    return words[0].strip() if len(words) == 1 else shlex.join(words)


def descendants(pid: int) -> list[int]:
    """Return children, their children and so on."""
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except _GONE:
        return []


def is_running(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except _GONE:
        return False


def age(facts: ProcessFacts, now: float | None = None) -> float | None:
    """Return the seconds since the process started."""
    return None if facts.started is None else max(0.0, (now or wall_clock()) - facts.started)


def read_system(kind: str = "all") -> list[SocketEntry]:
    """Return the host's sockets, or those of readable processes where the system denies more (macOS)."""
    try:
        return _entries(psutil.net_connections(kind), None)
    except _GONE:
        return read_processes(psutil.pids(), kind)


def read_processes(pids: Iterable[int], kind: str = "all") -> list[SocketEntry]:
    """Return the sockets of these processes; none for one that has ended or belongs to another user."""
    found: list[SocketEntry] = []
    for pid in pids:
        try:
            found += _entries(_connections(psutil.Process(pid), kind), pid)
        except _GONE:
            continue
    return found


def _connections(process: psutil.Process, kind: str) -> Any:
    if hasattr(process, "net_connections"):
        return process.net_connections(kind)
    return process.connections(kind)  # psutil < 6


def _entries(connections: Iterable[Any], pid: int | None) -> list[SocketEntry]:
    found: dict[object, SocketEntry] = {}
    for connection in connections:
        entry = _entry(connection, pid if pid is not None else connection.pid)
        if entry is not None:
            found.setdefault((entry.identity, entry.pid) if entry.inode else len(found), entry)
    return list(found.values())


def _entry(connection: Any, pid: int | None) -> SocketEntry | None:
    unix = connection.family == getattr(psutil, "AF_UNIX", 1) or isinstance(connection.laddr, str)
    protocol = "unix" if unix else _PROTOCOLS.get(connection.type)
    if protocol is None:
        return None
    fd = connection.fd if connection.fd is not None and connection.fd >= 0 else None
    return SocketEntry(
        protocol=cast("SocketProtocol", protocol),
        family=getattr(connection.family, "name", str(connection.family)),
        local=_endpoint(connection.laddr) or Endpoint(""),
        remote=_endpoint(connection.raddr),
        status=cast("Status", _status(connection.status)),
        fd=fd,
        inode=_inode(pid, fd),
        pid=pid,
    )


def _status(word: str) -> str:
    word = {"CLOSED": model.CLOSE}.get(word, word)
    return word if word in model.STATUSES else model.NONE


def _inode(pid: int | None, fd: int | None) -> int | None:
    if pid is None or fd is None:
        return None
    try:
        target = os.readlink(f"/proc/{pid}/fd/{fd}")  # noqa: PTH115
    except OSError:
        return None
    return int(target[8:-1]) if target.startswith("socket:[") else None


def _endpoint(address: Any) -> Endpoint | None:
    if not address:
        return None
    if isinstance(address, str):
        return Endpoint(address)
    return Endpoint(address[0], address[1])
