"""The conditions of waits, and the texts of their timeouts.

A condition is checked on demand; `waits` calls it until it is true or the time is over. No condition connects, except a
`check` of the caller's own.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets import addresses
from pytest_sockets.asserting import in_use, messages, ownership
from pytest_sockets.asserting.watched_process import output_lines, watched
from pytest_sockets.errors import ProcessDied, QueryTypeError, WaitTimeout, quoted
from pytest_sockets.matching import is_side, takes
from pytest_sockets.model import SocketTable
from pytest_sockets.originals import monotonic
from pytest_sockets.table import holders
from pytest_sockets.table.readers import reader
from pytest_sockets.waiting import BUGS, checked_timeout, running_loop

if TYPE_CHECKING:
    from typing import Self

    from pytest_sockets.asserting.watched_process import Watched
    from pytest_sockets.literals import PortProtocol
    from pytest_sockets.model import SocketEntry

Check = Callable[[], object]
AsyncCheck = Callable[[], object | Awaitable[object]]
_PROTOCOLS: Final = ("tcp", "udp")
_SHOWN: Final = 4
_LOG_AFTER: Final = 1.0


class _Wait:
    """One wait: a condition, checked on demand, and the text of its timeout."""

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
        """Return the listeners of the port that accept connections to the host; None if there are none."""
        found = reader().listening_on(self.port, self.protocol)
        if not found:
            return None
        # Holders come second: finding them takes longer than the dump.
        if self.wanted.host is not None and (self.wanted.host, self.port) not in found:
            return None
        return found if self.wanted.host is None else found.where(self._takes)


class ListeningWait(_Wait):
    """Wait for a listener on the port, of the process if there is one, for which `check` is true."""

    def __init__(
        self,
        port: int,
        host: str | None,
        protocol: PortProtocol,
        timeout: float,
        process: Any,
        check: Check | None,
    ) -> None:
        super().__init__(port, host, protocol, timeout)
        self.process = None if process is None else watched(process)
        self._check = checked_check(check)
        self._check_error: Exception | None = None
        self._found = False
        self._begin = monotonic()
        self._logged = False
        self._foreign_since: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.close()

    def look(self) -> SocketTable | None:
        """Return the listeners once they are as requested, without calling `check`."""
        __tracebackhide__ = True
        found = self.listeners()
        if self.process is not None:
            found = self._of_process(self.process, found)
            if (
                found is None
                and not self._logged
                and monotonic() - self._begin > min(_LOG_AFTER, self.timeout / 2)
            ):
                self._log()
        self._found = found is not None
        return found

    def look_and_check(self) -> SocketTable | None:
        """Return the listeners as `look()` does, once `check` is true as well."""
        __tracebackhide__ = True
        found = self.look()
        if found is None or self._check is None:
            return found
        try:
            answer = self._check()
        except BUGS:
            raise
        except Exception as error:  # noqa: BLE001  (each client library has its own "connection refused")
            self._check_error = error
            return None
        if inspect.isawaitable(answer):
            if inspect.iscoroutine(answer):
                answer.close()
            raise QueryTypeError("check is asynchronous: use `await async_wait_listening(..., check=...)`")
        self._check_error = None
        return found if answer else None

    async def async_look_and_check(self) -> SocketTable | None:
        """Do the same as `look_and_check` for a `check` that may be asynchronous."""
        __tracebackhide__ = True
        found = self.look()
        if found is None or self._check is None:
            return found
        try:
            answer = self._check()
            if inspect.isawaitable(answer):
                answer = await answer
        except BUGS:
            raise
        except Exception as error:  # noqa: BLE001
            self._check_error = error
            return None
        self._check_error = None
        return found if answer else None

    def _of_process(self, process: Watched, found: SocketTable | None) -> SocketTable | None:
        """Return the listeners that the process holds. Raises once it is certain that there will be none."""
        __tracebackhide__ = True
        ended = process.ended()
        if ended is not None:
            # It may have listened, or started a daemon, just before it ended: look once more.
            found = self.listeners()
        split = ownership.split(found.without_holders() if found is not None else (), process.pids())
        if split.own:
            return SocketTable(split.own, "listening")
        if ended is not None:
            left = [
                entry for entry in holders.with_holders(split.foreign) if process.may_have_left(entry.pid)
            ]
            if left:
                return SocketTable(left, "listening")
            raise self._death(process, ended, bool(split.foreign)) from process.error()
        self._check_foreign(process, bool(split.foreign))
        return None

    def _check_foreign(self, process: Watched, is_foreign: bool) -> None:
        __tracebackhide__ = True
        now = monotonic()
        if not is_foreign:
            self._foreign_since = None
        elif self._foreign_since is None:
            self._foreign_since = now
        elif now - self._foreign_since >= ownership.FOREIGN_GRACE:
            raise WaitTimeout("\n".join(self._foreign_lines(process)))

    def _foreign_lines(self, process: Watched) -> list[str]:
        headline = f"{process.title} cannot listen on {self.place}: another process does"
        return [headline, self._holders(), *output_lines(process.last_output())]

    def _holders(self) -> str:
        return in_use.explanation(in_use.Address(self.wanted.host, self.port, self.protocol)) or ""

    def _death(self, process: Watched, ended: str, is_foreign: bool) -> ProcessDied:
        lines = [f"{process.title} {ended} before it listened on {self.place}"]
        if is_foreign:
            lines.append(self._holders())
        return ProcessDied("\n".join([*lines, *output_lines(process.last_output())]))

    def _log(self) -> None:
        self._logged = True
        others = self._instead()
        if others:
            import logging

            logging.getLogger("pytest_sockets").warning("waiting for %s: %s", self.place, "; ".join(others))

    def _instead(self) -> list[str]:
        """Return the listeners of the process and its children; without a process, of this process and its children."""
        own = [os.getpid(), *holders.descendants(os.getpid())]
        pids = own if self.process is None else self.process.pids()
        found = [entry for entry in holders.listening_of(pids) if entry.protocol == self.protocol]
        return messages.listed((self._elsewhere(entry) for entry in found), _SHOWN)

    def _elsewhere(self, entry: SocketEntry) -> str:
        who = "this process" if entry.pid == os.getpid() else f"process {messages.entry_title(entry)}"
        if entry.local.port == self.port:
            return f"{who} listens on {entry.local}, which does not answer for {self.wanted.host}"
        return f"{who} listens on {entry.local}"

    def failure(self, awaited: bool = False) -> WaitTimeout:
        """Return the error for a timeout."""
        blocked = [] if awaited else _in_event_loop()
        if self._found:
            return self._unchecked(blocked)
        process = self.process
        if process is not None and self._foreign_since is not None:
            return WaitTimeout("\n".join(self._foreign_lines(process)))
        lines = [f"nothing listens on {self.place} after {self.timeout:g} s"]
        if process is not None:
            lines[0] += f", though {process.title} still runs"
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
                if process is not None
                else "this process and its children listen"
            )
            lines.append(f"{what} on nothing ({self.protocol})")
        return WaitTimeout("\n".join([*lines, *self._what_it_wrote(), *blocked]))

    def _unchecked(self, blocked: list[str]) -> WaitTimeout:
        lines = [f"{self.place} is listened on, but check was not true after {self.timeout:g} s"]
        if self._check_error is not None:
            lines.append(f"check last raised {type(self._check_error).__name__}: {self._check_error}")
        return WaitTimeout("\n".join([*lines, *self._what_it_wrote(), *blocked]))

    def _what_it_wrote(self) -> list[str]:
        return [] if self.process is None else list(output_lines(self.process.last_output()))


def checked_check(check: Any) -> Check | None:
    """Return `check`. Raises `QueryTypeError` if it cannot be called."""
    if check is not None and not callable(check):
        raise QueryTypeError(
            f"check={quoted(check)} is not callable: use a function that returns true once the server answers"
        )
    return check  # type: ignore[no-any-return]


def _in_event_loop() -> list[str]:
    """Explain a blocking wait inside an event loop: a server in the same loop cannot start meanwhile."""
    name = running_loop()
    if name is None:
        return []
    return [
        f"this wait blocked the running {name} event loop, where no server can start meanwhile: "
        "use `await async_wait_listening(...)`"
    ]


class SilenceWait(_Wait):
    """Wait until no socket listens on the port."""

    def look(self) -> bool:
        __tracebackhide__ = True
        return self.listeners() is None

    def failure(self) -> WaitTimeout:
        found = self.listeners() or ()
        still = [messages.sentence(entry) for entry in found]
        head = f"a process still listens on {self.place} after {self.timeout:g} s"
        return WaitTimeout("\n".join([head, *messages.listed(still, _SHOWN)]))


class ConnectionsWait(_Wait):
    """Wait for connections of the port, on either side, to close; TIME_WAIT counts as closed."""

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
        """Return the remaining connections; the end that has the port comes first."""
        found = sorted(self.connections(), key=lambda entry: entry.local.port != self.port)
        return messages.listed(map(messages.sentence, found), _SHOWN)

    def failure(self) -> WaitTimeout:
        head = f"connections of {self.place} are still open after {self.timeout:g} s"
        return WaitTimeout("\n".join([head, *self.lines()]))
