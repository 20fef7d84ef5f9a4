"""Waiting for the socket table: every wait reads it and never connects, so the server notices nothing.

Each wait has an `async_` twin that sleeps in the running event loop, asyncio's or trio's; a look takes some 50 us on Linux.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets import addresses
from pytest_sockets.asserting import messages
from pytest_sockets.asserting.watched_process import Watched
from pytest_sockets.errors import ProcessDied, WaitTimeout
from pytest_sockets.matching import is_side, takes
from pytest_sockets.originals import monotonic
from pytest_sockets.table import holders
from pytest_sockets.table.readers import reader
from pytest_sockets.waiting import async_wait_until, checked_timeout, wait_until

if TYPE_CHECKING:
    from pytest_sockets.literals import PortProtocol
    from pytest_sockets.model import SocketEntry, SocketTable

_PROTOCOLS: Final = ("tcp", "udp")
_SHOWN: Final = 4
_LOG_AFTER: Final = 1.0


class _Wait:
    """One wait: what is asked, checked once, and the text if it does not come true."""

    def __init__(self, port: int, host: str | None, protocol: PortProtocol, timeout: float) -> None:
        self.protocol = addresses.checked_protocol(protocol, _PROTOCOLS)
        self.wanted = addresses.Wanted(addresses.checked_host(host), addresses.checked_port(port))
        self.port = int(port)
        self.timeout = checked_timeout(timeout)
        self._takes = takes(self.wanted)

    @property
    def place(self) -> str:
        port = messages.port_text(self.port, self.protocol)
        return port if self.wanted.host is None else f"{port} of {self.wanted.host}"

    def listeners(self) -> SocketTable | None:
        """Who listens on the port and answers for the host; None if nobody."""
        found = reader().listening_on(self.port, self.protocol)
        if not found:
            return None
        # Asked without holders first: finding those takes longer than the dump.
        if self.wanted.host is not None and (self.wanted.host, self.port) not in found:
            return None
        return found if self.wanted.host is None else found.where(self._takes)


class _ListeningWait(_Wait):
    def __init__(
        self, port: int, host: str | None, protocol: PortProtocol, timeout: float, process: Any
    ) -> None:
        super().__init__(port, host, protocol, timeout)
        self.process = None if process is None else Watched(process)
        self._begin = monotonic()
        self._logged = False

    def look(self) -> SocketTable | None:
        __tracebackhide__ = True
        found = self.listeners()
        if found is None and self.process is not None:
            ending = self.process.ended()
            if ending:
                # It may have listened and handed over to a child before it ended: look once more.
                found = self.listeners()
                if found is None:
                    raise self._death(ending)
                return found
            if not self._logged and monotonic() - self._begin > min(_LOG_AFTER, self.timeout / 2):
                self._log()
        return found

    def _death(self, ending: str) -> ProcessDied:
        assert self.process is not None
        lines = [f"process {self.process.pid} {ending} before it listened on {self.place}"]
        told = self.process.last_stderr()
        lines += ["the end of its stderr:", *(f"  {line}" for line in told)] if told else []
        return ProcessDied("\n".join(lines))

    def _log(self) -> None:
        self._logged = True
        others = self._instead()
        if others:
            import logging

            logging.getLogger("pytest_sockets").warning("waiting for %s: %s", self.place, "; ".join(others))

    def _instead(self) -> list[str]:
        """What the process and its children listen on, or the children of this process if none is given."""
        first = os.getpid() if self.process is None else self.process.pid
        pids = [first, *holders.descendants(first)]
        found = [entry for entry in holders.listening_of(pids) if entry.protocol == self.protocol]
        return messages.listed((self._elsewhere(entry) for entry in found), _SHOWN)

    def _elsewhere(self, entry: SocketEntry) -> str:
        who = "this process" if entry.pid == os.getpid() else f"process {messages.entry_title(entry)}"
        if entry.local.port == self.port:
            return f"{who} listens on {entry.local}, which does not answer for {self.wanted.host}"
        return f"{who} listens on {entry.local}"

    def failure(self) -> WaitTimeout:
        lines = [f"nothing listens on {self.place} after {self.timeout:g} s"]
        if self.process is not None:
            lines[0] += f", though process {self.process.pid} still runs"
        instead = self._instead()
        wrong = [
            f"{messages.sentence(entry)}, which does not answer for {self.wanted.host}"
            for entry in reader().listening_on(self.port, self.protocol)
        ]
        lines += [line for line in wrong[:_SHOWN] if not any(str(self.port) in other for other in instead)]
        lines += instead
        if not wrong and not instead:
            what = (
                "it and its children listen"
                if self.process is not None
                else "this process and its children listen"
            )
            lines.append(f"{what} on nothing ({self.protocol})")
        return WaitTimeout("\n".join(lines))


class _SilenceWait(_Wait):
    def look(self) -> bool:
        __tracebackhide__ = True
        return self.listeners() is None

    def failure(self) -> WaitTimeout:
        found = self.listeners() or ()
        still = [messages.sentence(entry) for entry in found]
        head = f"somebody still listens on {self.place} after {self.timeout:g} s"
        return WaitTimeout("\n".join([head, *messages.listed(still, _SHOWN)]))


class ConnectionsWait(_Wait):
    """Connections of the port, on either side, that are not closed; TIME_WAIT is no connection."""

    def connections(self) -> SocketTable:
        found = reader().connections_on(self.port, self.protocol)
        if self.wanted.host is None or not found:
            return found
        local, remote = self._takes, is_side(self.wanted)
        return found.where(lambda entry: local(entry) or bool(entry.remote and remote(entry.remote)))

    def look(self) -> bool:
        __tracebackhide__ = True
        return not self.connections()

    def lines(self) -> list[str]:
        """Who is still connected, the end that has the port first."""
        found = sorted(self.connections(), key=lambda entry: entry.local.port != self.port)
        return messages.listed(map(messages.sentence, found), _SHOWN)

    def failure(self) -> WaitTimeout:
        head = f"connections of {self.place} are still open after {self.timeout:g} s"
        return WaitTimeout("\n".join([head, *self.lines()]))


def _longest_pause() -> float:
    """A look costs 50 us by sock_diag and 30 ms by psutil: wait in proportion, so that neither burns a core."""
    return 0.008 if reader().name == "sock_diag" else 0.05


def wait_listening(
    port: int,
    host: str | None = None,
    *,
    protocol: PortProtocol = "tcp",
    timeout: float = 5.0,
    process: Any = None,
) -> SocketTable:
    """Wait until somebody listens on `port`; gives the listeners.

    With `host`, until what is sent to that address is taken ("localhost": any of its addresses). `process` (Popen,
    psutil.Process or pid) ends the wait at once when it dies: `ProcessDied` has the exit status and the end of stderr, which
    is read from the pipe. Raises `WaitTimeout` after `timeout` seconds; it says what is listening instead.
    """
    __tracebackhide__ = True
    wait = _ListeningWait(port, host, protocol, timeout, process)
    found = wait_until(wait.look, wait.timeout, longest=_longest_pause())
    if found is None:
        raise wait.failure()
    return found


async def async_wait_listening(
    port: int,
    host: str | None = None,
    *,
    protocol: PortProtocol = "tcp",
    timeout: float = 5.0,
    process: Any = None,
) -> SocketTable:
    """`wait_listening` that lets the event loop run meanwhile, asyncio's or trio's."""
    __tracebackhide__ = True
    wait = _ListeningWait(port, host, protocol, timeout, process)
    found = await async_wait_until(wait.look, wait.timeout, longest=_longest_pause())
    if found is None:
        raise wait.failure()
    return found


def wait_not_listening(
    port: int, host: str | None = None, *, protocol: PortProtocol = "tcp", timeout: float = 5.0
) -> None:
    """Wait until nobody listens on `port`; `WaitTimeout` names who still does."""
    __tracebackhide__ = True
    wait = _SilenceWait(port, host, protocol, timeout)
    if not wait_until(wait.look, wait.timeout, longest=_longest_pause()):
        raise wait.failure()


async def async_wait_not_listening(
    port: int,
    host: str | None = None,
    *,
    protocol: PortProtocol = "tcp",
    timeout: float = 5.0,
) -> None:
    """`wait_not_listening` that lets the event loop run meanwhile."""
    __tracebackhide__ = True
    wait = _SilenceWait(port, host, protocol, timeout)
    if not await async_wait_until(wait.look, wait.timeout, longest=_longest_pause()):
        raise wait.failure()


def wait_no_connections(
    port: int, host: str | None = None, *, protocol: PortProtocol = "tcp", timeout: float = 5.0
) -> None:
    """Wait until no connection has `port` on either side; TIME_WAIT counts as closed. `WaitTimeout` names what is left."""
    __tracebackhide__ = True
    wait = ConnectionsWait(port, host, protocol, timeout)
    if not wait_until(wait.look, wait.timeout, longest=_longest_pause()):
        raise wait.failure()


async def async_wait_no_connections(
    port: int,
    host: str | None = None,
    *,
    protocol: PortProtocol = "tcp",
    timeout: float = 5.0,
) -> None:
    """`wait_no_connections` that lets the event loop run meanwhile."""
    __tracebackhide__ = True
    wait = ConnectionsWait(port, host, protocol, timeout)
    if not await async_wait_until(wait.look, wait.timeout, longest=_longest_pause()):
        raise wait.failure()
