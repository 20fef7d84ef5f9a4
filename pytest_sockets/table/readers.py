"""The two readers of the socket table, with one interface: Linux's own, and psutil elsewhere."""

from __future__ import annotations

import dataclasses
import functools
import os
from typing import TYPE_CHECKING, Protocol

from pytest_sockets import model
from pytest_sockets.model import SocketTable
from pytest_sockets.table import holders, inet_diag, own_fds, own_socket, proc, sock_diag
from pytest_sockets.table.lazy_table import LazyTable
from pytest_sockets.table.sock_diag import SockDiagMissing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sockets.literals import PortProtocol
    from pytest_sockets.model import SocketEntry


class Reader(Protocol):
    """The interface of a reader. It never raises for a process that has ended or cannot be inspected."""

    name: str

    def own(self) -> SocketTable:
        """Return this process's sockets."""

    def of_processes(self, pids: Iterable[int]) -> SocketTable:
        """Return these processes' sockets."""

    def system(self) -> SocketTable:
        """Return the host's sockets (in this network namespace), with their holders where visible."""

    def listening(self) -> SocketTable:
        """Return the host's listening sockets, TCP and UDP."""

    def with_status(self, *statuses: str) -> SocketTable:
        """Return the host's TCP sockets in these statuses."""

    def listening_on(self, port: int, protocol: PortProtocol) -> SocketTable:
        """Return the listeners of this port."""

    def connections_on(self, port: int, protocol: PortProtocol) -> SocketTable:
        """Return connections with this port on either side, without TIME_WAIT."""


class LinuxReader:
    """Read sockets through sock_diag, their holders through /proc, and own ones from their descriptors."""

    name = "sock_diag"

    def own(self) -> SocketTable:
        """Return this process's sockets, including unbound ones."""
        found: dict[int, SocketEntry] = {}
        for fd, inode in sorted(own_fds.socket_inodes().items()):
            entry = None if inode in found else own_socket.describe(fd)
            if entry is not None:
                found[inode] = entry
        return SocketTable(found.values())

    def of_processes(self, pids: Iterable[int]) -> SocketTable:
        """Return one entry for each process and socket."""
        held = {pid: inodes for pid in pids if (inodes := proc.sockets_of(pid))}
        if not held:
            return SocketTable()
        known = {entry.inode: entry for entry in sock_diag.everything()}
        return SocketTable(
            dataclasses.replace(known[inode], pid=pid, fd=fd)
            for pid, inodes in held.items()
            for inode, fd in sorted(inodes.items(), key=lambda item: item[1])
            if inode in known
        )

    def system(self) -> SocketTable:
        """Return the host's sockets, read and completed at once."""
        return SocketTable(holders.with_holders(sock_diag.everything()))

    def listening(self) -> SocketTable:
        """Return the host's listening sockets. UDP is read only if TCP does not answer.

        Nearly all checks end after TCP. It is parsed only for more than a port.
        """
        tcp = sock_diag.raw_tcp_listening()
        udp = functools.cache(sock_diag.raw_udp_unconnected)

        def has_port(port: int) -> bool:
            return port in map(inet_diag.local_port, tcp) or port in map(inet_diag.local_port, udp())

        return LazyTable(
            lambda: sock_diag.parse_listening(tcp, udp()), holders.with_holders, has_port, "listening"
        )

    def with_status(self, *statuses: str) -> SocketTable:
        """Return sockets that are read and parsed at once, and completed on demand."""
        found = sock_diag.read(("tcp",), inet_diag.state_mask(*statuses))
        return LazyTable(lambda: found, holders.with_holders, label=" ".join(statuses).lower())

    def listening_on(self, port: int, protocol: PortProtocol) -> SocketTable:
        """Return sockets that are read and parsed at once, and completed on demand."""
        found = sock_diag.listening_on(port, protocol)
        return LazyTable(lambda: found, holders.with_holders)

    def connections_on(self, port: int, protocol: PortProtocol) -> SocketTable:
        """Return sockets that are read and parsed at once, and completed on demand."""
        found = sock_diag.connections_on(port, protocol)
        return LazyTable(lambda: found, holders.with_holders)


class PortableReader:
    """Read through psutil. It omits TCP sockets that are bound but do not listen, and inodes outside Linux."""

    name = "psutil"

    def own(self) -> SocketTable:
        """Return this process's sockets."""
        return self.of_processes([os.getpid()])

    def of_processes(self, pids: Iterable[int]) -> SocketTable:
        """Return these processes' sockets."""
        from pytest_sockets.table import processes

        return SocketTable(processes.read_processes(pids))

    def system(self) -> SocketTable:
        """Return the host's sockets."""
        from pytest_sockets.table import processes

        return SocketTable(processes.read_system())

    def listening(self) -> SocketTable:
        """Return the host's listening sockets, TCP and UDP."""
        from pytest_sockets.table import processes

        return SocketTable(
            (entry for entry in processes.read_system("inet") if entry.is_listening), "listening"
        )

    def with_status(self, *statuses: str) -> SocketTable:
        """Return the host's TCP sockets in these statuses."""
        from pytest_sockets.table import processes

        found = (entry for entry in processes.read_system("tcp") if entry.status in statuses)
        return SocketTable(found, " ".join(statuses).lower())

    def listening_on(self, port: int, protocol: PortProtocol) -> SocketTable:
        """Return the listeners of this port."""
        return self.listening().where(lambda entry: entry.protocol == protocol and entry.local.port == port)

    def connections_on(self, port: int, protocol: PortProtocol) -> SocketTable:
        """Return connections with this port on either side, without TIME_WAIT."""
        from pytest_sockets.table import processes

        return SocketTable(
            entry
            for entry in processes.read_system(protocol)
            if entry.remote
            and port in (entry.local.port, entry.remote.port)
            and entry.status != model.TIME_WAIT
        )


@functools.cache
def reader() -> Reader:
    """Return the best reader of this system; determined once."""
    try:
        sock_diag.tcp_listening()
    except SockDiagMissing:
        return PortableReader()
    return LinuxReader() if proc.AVAILABLE else PortableReader()
