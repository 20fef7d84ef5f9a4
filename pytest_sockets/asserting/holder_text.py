"""`who_holds(port)`: every process and TIME_WAIT that keeps a port from being bound."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Final

from pytest_sockets import addresses, model
from pytest_sockets.asserting.openers import opener_of
from pytest_sockets.matching import takes
from pytest_sockets.printable import command_text, printable, shortened
from pytest_sockets.table import holders as table_holders
from pytest_sockets.table.readers import reader

if TYPE_CHECKING:
    from pytest_sockets.literals import PortProtocol, Status
    from pytest_sockets.model import SocketEntry

_ORDER: Final = (model.LISTEN, model.NONE, model.CLOSE)
_PROTOCOLS: Final = ("tcp", "udp")
_LONGEST_NAME: Final = 60
_LONGEST_TEST: Final = 300


@dataclasses.dataclass(frozen=True, slots=True)
class Holder:
    """One process that holds the port, or a socket in TIME_WAIT, which no process holds (`pid` None).

    `entry` is the line of the socket table. Facts that the system hides from this user are None. Texts are printable,
    and passwords in the command line are replaced by `***`.
    """

    entry: SocketEntry
    pid: int | None = None
    name: str | None = None
    command_line: str | None = None
    user: str | None = None
    started: float | None = None
    """Start time of the process, in seconds since the epoch."""
    test: str | None = None
    """The test or fixture of this run that opened the socket, or during which the process was started."""
    worker: str | None = None
    """The xdist worker that holds the socket, or that started the process."""
    opener_known: bool = False
    """Whether `test` opened the socket, according to the registry; otherwise it is the test that started the process."""
    is_left_over: bool = False
    """Whether a test of an earlier, interrupted run started the process."""
    is_child: bool = False
    """Whether the holder is a descendant of this process."""

    @property
    def status(self) -> Status:
        """The socket's status, named as in psutil."""
        return self.entry.status

    @property
    def fd(self) -> int | None:
        """The descriptor in the process that holds the socket."""
        return self.entry.fd

    @property
    def time_wait_left(self) -> float | None:
        """Seconds until a TIME_WAIT ends."""
        return self.entry.time_wait_left

    @property
    def is_this_process(self) -> bool:
        """Whether this process holds the socket itself."""
        return self.pid == os.getpid()

    def __str__(self) -> str:
        from pytest_sockets.asserting.messages import holder_sentence

        return holder_sentence(self)


def who_holds(port: int, protocol: PortProtocol = "tcp", host: str | None = None) -> list[Holder]:
    """Return the holders of a local port, listeners first; an empty list if the port is free.

    `host` limits the result to sockets that accept data for that address, or for part of a wildcard. Sockets of other
    users' processes may have no pid. Raises `QueryError` for an invalid port, protocol or host.
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
    from pytest_sockets.table import left_overs, processes

    facts = processes.facts(entry.pid)
    own = entry.pid == os.getpid()
    opener = opener_of(entry.pid, entry.inode)
    return Holder(
        entry,
        pid=entry.pid,
        name=_text(facts.name),
        command_line=None if facts.command_line is None else command_text(facts.command_line),
        user=_text(facts.user),
        started=facts.started,
        test=opener.name if opener else None if own else named_test(facts.test),
        worker=os.environ.get("PYTEST_XDIST_WORKER")
        if own
        else (opener and opener.worker) or _text(facts.worker),
        opener_known=opener is not None,
        is_left_over=not own and opener is None and left_overs.is_left_over(facts),
        is_child=entry.pid in children,
    )


def _text(text: str | None) -> str | None:
    return None if text is None else shortened(printable(text), _LONGEST_NAME)


def named_test(variable: str | None) -> str | None:
    """Return the test that PYTEST_CURRENT_TEST names ("tests/test_a.py::test_x (call)"), without the phase."""
    return shortened(printable(variable.rpartition(" (")[0] or variable), _LONGEST_TEST) if variable else None
