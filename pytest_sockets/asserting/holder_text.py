"""`who_holds(port)`: every process and leftover that keeps a port from being bound."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Final

from pytest_sockets import addresses, model
from pytest_sockets.asserting.openers import opener_of
from pytest_sockets.matching import takes
from pytest_sockets.table import holders as table_holders
from pytest_sockets.table.readers import reader

if TYPE_CHECKING:
    from pytest_sockets.literals import PortProtocol, Status
    from pytest_sockets.model import SocketEntry

_ORDER: Final = (model.LISTEN, model.NONE, model.CLOSE)
_PROTOCOLS: Final = ("tcp", "udp")


@dataclasses.dataclass(frozen=True, slots=True)
class Holder:
    """One process that holds the port, or one leftover that no process holds any more (`pid` None).

    What the system does not tell this user is None. `entry` is the line of the socket table.
    """

    entry: SocketEntry
    pid: int | None = None
    name: str | None = None
    command_line: str | None = None
    user: str | None = None
    started: float | None = None
    """When the process was started, in seconds since the epoch."""
    test: str | None = None
    """The test or fixture of this run that opened the socket, or during which the process was started."""
    worker: str | None = None
    """The xdist worker that the process is, or that started it."""
    opener_known: bool = False
    """Whether `test` is what opened the socket, by a ledger; else it is the test during which the process was started."""
    is_child: bool = False
    """Whether it is a descendant of this process."""

    @property
    def status(self) -> Status:
        """The socket's status, psutil's words."""
        return self.entry.status

    @property
    def fd(self) -> int | None:
        """The descriptor in the holding process."""
        return self.entry.fd

    @property
    def time_wait_left(self) -> float | None:
        """Seconds until a TIME_WAIT goes."""
        return self.entry.time_wait_left

    @property
    def is_this_process(self) -> bool:
        """Whether the process that asks holds it itself."""
        return self.pid == os.getpid()

    def __str__(self) -> str:
        from pytest_sockets.asserting.messages import holder_sentence

        return holder_sentence(self)


def who_holds(port: int, protocol: PortProtocol = "tcp", host: str | None = None) -> list[Holder]:
    """Who holds the local port, listeners first; empty if nobody does.

    `host` limits it to what answers for that address, or takes part of what a wildcard would. Sockets that other users'
    processes hold are told without pid. Raises `QueryError` for what is no port, protocol or host.
    """
    number = addresses.checked_port(port)
    addresses.checked_protocol(protocol, _PROTOCOLS)
    wanted = addresses.Wanted(addresses.checked_host(host), number)
    answers = takes(wanted)
    any_host = wanted.host is None or addresses.is_wildcard(wanted.host)
    found = [
        entry
        for entry in _entries(protocol)
        if entry.protocol == protocol and entry.local.port == number and (any_host or answers(entry))
    ]
    found = table_holders.with_holders(found)
    found.sort(key=lambda entry: _ORDER.index(entry.status) if entry.status in _ORDER else len(_ORDER))
    children = frozenset(table_holders.descendants(os.getpid())) if found else frozenset()
    return [_holder(entry, children) for entry in found]


def _entries(protocol: str) -> list[SocketEntry]:
    from pytest_sockets.table import inet_diag, sock_diag

    if reader().name == "sock_diag":
        return sock_diag.read((protocol,), inet_diag.ALL_STATES | inet_diag.BOUND_INACTIVE)
    return list(reader().system())


def _holder(entry: SocketEntry, children: frozenset[int]) -> Holder:
    if entry.pid is None:
        return Holder(entry)
    from pytest_sockets.table import processes

    facts = processes.facts(entry.pid)
    own = entry.pid == os.getpid()
    opener = opener_of(entry.pid, entry.inode)
    return Holder(
        entry,
        pid=entry.pid,
        name=facts.name,
        command_line=facts.command_line,
        user=facts.user,
        started=facts.started,
        test=opener.name if opener else None if own else _without_phase(facts.test),
        worker=os.environ.get("PYTEST_XDIST_WORKER") if own else (opener and opener.worker) or facts.worker,
        opener_known=opener is not None,
        is_child=entry.pid in children,
    )


def _without_phase(test: str | None) -> str | None:
    """PYTEST_CURRENT_TEST is "tests/test_a.py::test_x (call)"."""
    return test.rpartition(" (")[0] or test if test else None
