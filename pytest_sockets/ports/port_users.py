"""Find the programs that use ports: the text of PortUnavailable, and the listeners on a port."""

from __future__ import annotations

import collections
import os
from typing import TYPE_CHECKING, Final

from pytest_sockets import model
from pytest_sockets.ports.locks import LOCK_NAME
from pytest_sockets.printable import short_command
from pytest_sockets.service_names import port_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sockets.model import SocketEntry
    from pytest_sockets.ports.pool import Taken
    from pytest_sockets.ports.ranges import PortRanges

_SHOWN: Final = 6
_COMMAND: Final = 80


def listeners(port: int, protocol: str) -> list[SocketEntry]:
    """Return the sockets that listen on `port` (UDP: are bound and unconnected), on any address."""
    from pytest_sockets.table import sock_diag

    try:
        entries: Iterable[SocketEntry] = sock_diag.listening()
    except sock_diag.SockDiagMissing:
        from pytest_sockets.table import processes

        entries = (entry for entry in processes.read_system("inet") if entry.is_listening)
    return [entry for entry in entries if entry.local.port == port and protocol in (entry.protocol, "both")]


def used_up(ranges: PortRanges, taken: Taken, kept: tuple[int, ...], protocol: str) -> str:
    """Return the text for a pool without a free port. Its length is bounded."""
    what = "on TCP and UDP" if protocol == "both" else f"on {protocol.upper()}"
    lines = [f"no port of {ranges} is free {what}: {_counted(ranges.count)}"]
    if kept:
        lines.append(f"  {len(kept)} kept by this process ({os.getpid()}): {_some(kept, protocol)}")
    if taken.locked:
        lines.append(
            f"  {len(taken.locked)} kept by other runs of pytest-sockets: {_lock_holders(taken.locked)}"
        )
    if taken.in_use:
        lines.append(f"  {len(taken.in_use)} in use: {_users(taken.in_use, protocol)}")
    lines.append(
        "Release ports (free_port_factory.release(port)), end what holds them, or widen --sockets-ports."
    )
    return "\n".join(lines)


def _counted(count: int) -> str:
    return "1 port, taken" if count == 1 else f"{count:,} ports, all taken"


def _some(ports: Iterable[int], protocol: str) -> str:
    names = [port_name(port, protocol) for port in ports]
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _lock_holders(ports: list[int]) -> str:
    """Return the processes that hold these locks: `process 123 (pytest -n 4): 20`."""
    try:
        pids = _pids_by_lock()
    except Exception:  # noqa: BLE001  (an error text must not fail because a detail is missing)
        pids = {}
    counted = collections.Counter(pids.get(port) for port in ports)
    return "; ".join(f"{_process(pid)}: {count}" for pid, count in counted.most_common(_SHOWN))


def _pids_by_lock() -> dict[int, int | None]:
    from pytest_sockets.table import holders, sock_diag

    prefix = "@" + LOCK_NAME
    locks = [entry for entry in sock_diag.read(("unix",)) if entry.local.host.startswith(prefix)]
    return {
        int(entry.local.host.removeprefix(prefix).rstrip("@\0")): entry.pid
        for entry in holders.with_holders(locks)
    }


def _process(pid: int | None) -> str:
    if pid is None:
        return "a process that is not visible to this user"
    from pytest_sockets.table.holders import command_line

    command = command_line(pid)
    return f"process {pid} ({short_command(command, _COMMAND) if command else 'it has ended'})"


def _users(ports: list[int], protocol: str) -> str:
    """Return the first few ports with their users: `20001/tcp: process 7 (redis-server *:20001), LISTEN`."""
    try:
        entries = _entries_on(ports[:_SHOWN], protocol)
    except Exception:  # noqa: BLE001  (as above)
        entries = {}
    texts = []
    for port in ports[:_SHOWN]:
        texts += [_use(entry) for entry in entries.get(port, ())] or [
            f"{port_name(port, protocol)}: holder not visible"
        ]
    return "; ".join(texts) + ("; ..." if len(ports) > _SHOWN else "")


def _entries_on(ports: list[int], protocol: str) -> dict[int, list[SocketEntry]]:
    from pytest_sockets.table import holders

    protocols = ("tcp", "udp") if protocol == "both" else (protocol,)
    wanted = [
        entry for entry in _table(protocols) if entry.local.port in ports and entry.protocol in protocols
    ]
    found: dict[int, list[SocketEntry]] = {}
    for entry in holders.with_holders(wanted):
        found.setdefault(entry.local.port or 0, []).append(entry)
    return {port: entries[:2] for port, entries in found.items()}


def _table(protocols: tuple[str, ...]) -> Iterable[SocketEntry]:
    """Return all sockets, including those that are bound and neither listen nor are connected."""
    from pytest_sockets.table import inet_diag, sock_diag
    from pytest_sockets.table.readers import reader

    if reader().name == "sock_diag":
        return sock_diag.read(protocols, inet_diag.ALL_STATES | inet_diag.BOUND_INACTIVE)
    return reader().system()


def _use(entry: SocketEntry) -> str:
    name = port_name(entry.local.port or 0, entry.protocol)
    if entry.time_wait_left is not None:
        return f"{name}: {entry.status}, {entry.time_wait_left:.0f} s left"
    what = "bound, not listening" if entry.status in (model.CLOSE, model.NONE) else entry.status
    return f"{name}: {_process(entry.pid)}, {what}"
