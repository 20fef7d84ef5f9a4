"""Explain an "address already in use": who holds the port, and how to fix it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from pytest_sockets import addresses, lookups, model
from pytest_sockets.asserting import messages, shared_ports
from pytest_sockets.asserting.holder_text import Holder, who_holds
from pytest_sockets.printable import printable, short_command
from pytest_sockets.table import proc
from pytest_sockets.table.port_settings import ephemeral_range

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sockets.literals import PortProtocol

_MOST: Final = 6
_COMMAND: Final = 70
_SHARED: Final = (
    "They share the port through SO_REUSEPORT: only a socket of the same user that sets SO_REUSEPORT too can bind it, and "
    "answers come from all of them."
)


_CONTAINER_PROXIES: Final = ("docker-proxy", "rootlessport", "rootlesskit", "com.docker.backend")


class Address(NamedTuple):
    """The address that could not be bound; `port` is None for a unix path, `protocol` None if unknown."""

    host: str | None
    port: int | None
    protocol: str | None = None
    certain: bool = True
    """Whether the error says "in use", and not only that the bind failed."""

    def __str__(self) -> str:
        if self.port is None:
            return printable(str(self.host))
        port = messages.port_text(self.port, self.protocol or "tcp")
        if not self.host:
            return port
        host = printable(f"[{self.host}]" if ":" in self.host else self.host)
        return f"{host}:{port.removeprefix('port ')}"


def explanation(address: Address, *, inherited: bool = False) -> str | None:
    """Return the text of the section: headline, holders with hints, facts about the number.

    `inherited`: this process bound the port earlier and has started a child since. Returns None if the port has no
    holder and the error may have another reason.
    """
    if address.port is None:
        return _unix(address)
    found, protocol = _holders(address)
    known = address._replace(protocol=protocol)
    if not found:
        return "\n".join(_not_held(known, address.port, inherited)) if address.certain else None
    lines = [f"{known} is held by:"]
    hints: dict[str, None] = {}
    for holder in _merged(found)[:_MOST]:
        lines.append(f"  {holder}")
        lines += [f"    {detail}" for detail in _details(holder, found)]
        hints[_hint(holder, found)] = None
    more = len(_merged(found)) - _MOST
    if more > 0:
        lines.append(f"  ... and {more} more")
    if shared_ports.are_shared(holder.entry for holder in found):
        lines.append(_SHARED)
    return "\n".join([*lines, *hints, *_facts(address.port)])


def guessed_explanation(
    ports: Iterable[int], last: tuple[str, int] | None = None, *, inherited: bool = False
) -> str:
    """Explain an error that names no address by the first used port that has a holder.

    `last` is the address that was bound or connected to last. It is used if none of the ports has a holder now.
    """
    for port in dict.fromkeys(ports):
        found, protocol = _holders(Address(None, port))
        if found:
            text = explanation(Address(None, port, protocol))
            return f"The error names no address; of the ports that the failing code dealt with:\n{text}"
    if last is not None:
        text = explanation(Address(*last), inherited=inherited)
        return f"The error names no address; the last one used was:\n{text}"
    return "The error does not say which address. `pytest --sockets-table=LISTEN` shows what is taken now."


def _holders(address: Address) -> tuple[list[Holder], str]:
    assert address.port is not None
    host = address.host
    if host is not None and addresses.parsed(host) is None:
        host = None  # A host name may have resolved to other addresses then.
    for protocol in cast(
        "tuple[PortProtocol, ...]", (address.protocol,) if address.protocol else ("tcp", "udp")
    ):
        found = who_holds(address.port, protocol, host) or who_holds(address.port, protocol)
        if found:
            return found, protocol
    return [], address.protocol or "tcp"


def _merged(found: list[Holder]) -> list[Holder]:
    """Return the listening and bound sockets, or else one connection of each process."""
    strong = [holder for holder in found if holder.status in (model.LISTEN, model.CLOSE, model.NONE)]
    shown: dict[object, Holder] = {}
    for holder in strong or found:
        shown.setdefault(
            (holder.pid, holder.status) if not strong else (holder.pid, holder.entry.inode), holder
        )
    return list(shown.values())


def _details(holder: Holder, found: Iterable[Holder]) -> list[str]:
    lines = []
    if holder.command_line and not holder.is_this_process:
        lines.append(f"command line: {short_command(holder.command_line, _COMMAND)}")
    if holder.test:
        verb = "opened by" if holder.opener_known else "started by"
        lines.append(f"{verb} {holder.test}")
    if holder.worker and not holder.is_this_process:
        lines.append(f"on xdist worker {holder.worker}")
    if _shared(holder, found):
        others = {
            str(one.pid) for one in found if one.entry.inode == holder.entry.inode and one.pid != holder.pid
        }
        lines.append(f"shared with pid {', '.join(sorted(others))}: a forked or passed-on descriptor")
    return lines


def _shared(holder: Holder, found: Iterable[Holder]) -> bool:
    inode = holder.entry.inode
    return inode is not None and len({one.pid for one in found if one.entry.inode == inode}) > 1


def _hint(holder: Holder, found: list[Holder]) -> str:
    status, port = holder.status, holder.entry.local.port or 0
    if holder.pid is None and holder.entry.inode is not None:
        return (
            f"The holding process (uid {holder.entry.uid}) is not visible to this user: run `ss -tlnp` as root to see it, "
            "or use another port (fixture free_port)."
        )
    if status == model.TIME_WAIT:
        return _reuse("The side that closed first keeps the port for a minute (TIME_WAIT)")
    if status in (model.LISTEN, model.NONE, model.CLOSE):
        return _hint_for_owner(holder, found, status)
    return _hint_for_connection(holder, port)


def _reuse(why: str) -> str:
    if sys.platform == "win32":
        return f"{why}: wait, or use another port (fixture free_port). Not SO_REUSEADDR: on Windows it steals ports."
    return f"{why}: set SO_REUSEADDR before bind(), as socket.create_server() and asyncio do, or use the fixture free_port."


def _hint_for_owner(holder: Holder, found: list[Holder], status: str) -> str:
    what = "a socket that is bound and never listened" if status == model.CLOSE else "the listener"
    what = "the UDP socket" if status == model.NONE else what
    if holder.is_this_process:
        if any(one.is_child and one.entry.inode == holder.entry.inode for one in found):
            return f"Close {what} here and in the child that inherited it (fork, close_fds=False, pass_fds)."
        return f"Close {what} before it is bound again, or let each take its own port (fixture free_port)."
    if holder.is_child:
        inherited = (
            " It may have inherited the descriptor: fork, close_fds=False, pass_fds."
            if status != model.NONE
            else ""
        )
        return (
            f"It is a child of this process: terminate it and wait for it at the end of the test.{inherited}"
        )
    if holder.worker:
        return f"Worker {holder.worker} of this run holds it: a fixed port cannot serve two; use the fixture free_port."
    if holder.name in _CONTAINER_PROXIES:
        return f"A container publishes the port: `docker ps --filter publish={holder.entry.local.port}` shows which."
    if holder.is_left_over:
        return (
            f"It is left over from a run that was interrupted or killed: end it (kill {holder.pid}). "
            "`pytest --sockets-table=left` lists all such processes."
        )
    if holder.test:
        return "A test of another run started it: wait for that run, or use another port (fixture free_port)."
    return "It does not belong to this run: stop it, or use another port (fixture free_port)."


def _hint_for_connection(holder: Holder, port: int) -> str:
    low, high = ephemeral_range()
    remote = holder.entry.remote.port if holder.entry.remote and holder.entry.remote.port else 0
    outgoing = "an outgoing connection was given the port by the kernel: bind one outside the ephemeral range (free_port)"
    accepted = "The listener is closed but a connection that it accepted is open: close those too"
    if low <= port <= high and not low <= remote <= high:
        return outgoing.capitalize() + "."
    if not low <= port <= high:
        return _reuse(accepted)
    return f"{_reuse(accepted)} Or {outgoing}."


def _not_held(address: Address, port: int, inherited: bool) -> list[str]:
    if inherited:
        return [
            f"{address} is not held any more. This process bound it before and started a child process since: the child "
            "inherited the socket, and has ended by now.",
            "Wait for the child before binding the port again, or do not let it inherit the socket (close_fds=True, or "
            "close it in the child after os.fork()).",
            *_facts(port),
        ]
    where = "in another network namespace" if proc.AVAILABLE else "by a process of another user"
    lines = [
        f"{address} has no visible holder now: it was closed meanwhile (for example by a `with` block "
        f"that the error left), or it is held {where}."
    ]
    if proc.AVAILABLE:
        lines.append("Kernels before 6.8 also hide a socket that is bound and does not listen.")
    lines.append("Other processes may take a fixed port at any time: use the fixture free_port.")
    return [*lines, *_facts(port)]


def _facts(port: int) -> list[str]:
    fact = messages.port_facts(port)
    fixture = lookups.port_fixture(port) if lookups.port_fixture is not None else None
    return [f"{text}." for text in (fact, fixture) if text]


def _unix(address: Address) -> str:
    from pytest_sockets.table.readers import reader

    path = str(address.host)
    entries = [entry for entry in reader().system() if entry.protocol == "unix" and entry.local.host == path]
    if entries:
        holders = "\n".join(f"  {messages.sentence(entry)}" for entry in entries[:_MOST])
        return f"unix socket {address} is held by:\n{holders}\nClose it and remove the file before it is bound again."
    return (
        f"unix socket {address}: the file is left over, no socket is bound to it any more.\n"
        "close() does not remove it: unlink it first, or use a path under tmp_path."
    )
