"""Sentences about sockets, ports and holders, shared by every text of this package."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from pytest_sockets import addresses, model
from pytest_sockets.originals import wall_clock
from pytest_sockets.service_names import port_name
from pytest_sockets.table.port_settings import ephemeral_range

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sockets.asserting.holder_text import Holder
    from pytest_sockets.model import SocketEntry

_NOT_SEEN: Final = "a process that is not visible to this user"

STATUS_WORDS: Final = {
    model.LISTEN: "listens on",
    model.CLOSE: "is bound to, without listening,",
    model.NONE: "is bound to",
    model.TIME_WAIT: "is left in TIME_WAIT on",
    model.CLOSE_WAIT: "has a connection in CLOSE_WAIT (the peer closed, this side did not) on",
}


def port_text(port: int, protocol: str = "tcp") -> str:
    """Return `port 5432/tcp (postgresql)`."""
    return f"port {port_name(port, protocol)}"


def process_text(pid: int | None, name: str | None, uid: int | None = None) -> str:
    """Return `pid 4711 (redis-server)`, with "this process" for this one."""
    if pid is None:
        return f"{_NOT_SEEN} (uid {uid})" if uid is not None else _NOT_SEEN
    own = "this process, " if pid == os.getpid() else ""
    return f"{own}pid {pid} ({name})" if name else f"{own}pid {pid}"


def entry_process(entry: SocketEntry) -> str:
    """Return the process of an entry, with its name if known."""
    name = None
    if entry.pid is not None:
        from pytest_sockets.table import processes

        name = processes.name(entry.pid)
    return process_text(entry.pid, name, entry.uid)


def since(started: float | None, now: float | None = None) -> str:
    """Return `since 12:03:11 (14 s ago)`, or "" if the time is not known."""
    if started is None:
        return ""
    ago = max(0.0, (wall_clock() if now is None else now) - started)
    clock = time.strftime("%H:%M:%S" if ago < 86_400 else "%Y-%m-%d %H:%M", time.localtime(started))
    return f"since {clock} ({_span(ago)} ago)"


def _span(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def socket_text(entry: SocketEntry) -> str:
    """Return `listens on 127.0.0.1:80` or `has a connection in ESTABLISHED on 127.0.0.1:80 with 127.0.0.1:5000`."""
    words = STATUS_WORDS.get(entry.status, f"has a connection in {entry.status} on")
    if entry.protocol == "udp" and entry.remote:
        words = "has a connected UDP socket on"
    remote = f" with {entry.remote}" if entry.remote else ""
    left = entry.time_wait_left
    seconds = f" for another {left:.1f} s" if left is not None else ""
    return f"{words} {entry.local}{remote}{seconds}"


def sentence(entry: SocketEntry, name: str | None = None) -> str:
    """Return the holder and its use of the socket: `pid 4711 (redis-server) listens on 127.0.0.1:6379`."""
    if entry.pid is None and entry.inode is None and entry.uid is not None:
        return _held_by_nobody(entry)
    who = process_text(entry.pid, name, entry.uid) if name else entry_process(entry)
    return f"{who} {socket_text(entry)}"


def _held_by_nobody(entry: SocketEntry) -> str:
    """Return a sentence about a socket without an inode: on Linux, one before accept(2) or after close(2)."""
    remote = f" with {entry.remote}" if entry.remote else ""
    left = f" for another {entry.time_wait_left:.1f} s" if entry.time_wait_left is not None else ""
    waiting = entry.status in (model.ESTABLISHED, model.SYN_RECV, model.CLOSE_WAIT)
    why = "it waits in the backlog and has not been accepted" if waiting else "no process holds it any more"
    return f"{entry.local}{remote} is in {entry.status}{left}: {why}"


def holder_sentence(holder: Holder) -> str:
    """Return one line: the holder, the status of its socket, and how long the process has run."""
    entry = holder.entry
    parts = [sentence(entry, holder.name)]
    if holder.fd is not None:
        parts.append(f"fd {holder.fd}")
    if holder.user and not holder.is_this_process:
        parts.append(f"user {holder.user}")
    if holder.started is not None and not holder.is_this_process:
        parts.append(f"running {since(holder.started)}")
    return ", ".join(parts)


def exposure(entry: SocketEntry) -> str:
    """Return a sentence that says why an entry is not bound to loopback only."""
    return f"{entry.protocol} {socket_text(entry)}, not only on loopback: reachable from outside"


def port_facts(port: int) -> str | None:
    """Return the facts that follow from the number: ephemeral range, or well-known port."""
    low, high = ephemeral_range()
    if low <= port <= high:
        return (
            f"{port} lies in the kernel's ephemeral range {low}-{high}: any connect() or bind(0) may be given it at any "
            "time; take a port from the fixture free_port"
        )
    if port < 1024:
        return f"{port} is a well-known port: system services use it; take a port from the fixture free_port"
    return None


def is_exposed(entry: SocketEntry) -> bool:
    """Whether the socket is bound to an address other than loopback."""
    return not addresses.is_loopback(entry.local.host)


def listed(lines: Iterable[str], most: int) -> list[str]:
    """Return at most `most` lines; the last one counts the rest."""
    every = list(lines)
    if len(every) <= most:
        return every
    return [*every[: most - 1], f"... and {len(every) - most + 1} more"]


def entry_title(entry: SocketEntry) -> str:
    """Return `4711 (redis-server)`."""
    return entry_process(entry).removeprefix("this process, ").removeprefix("pid ")
