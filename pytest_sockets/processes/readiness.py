"""Decide when a server is ready: its tree listens on its ports, a callable returns true, or its output matches."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

from pytest_sockets import addresses, model
from pytest_sockets.asserting import ownership
from pytest_sockets.errors import ServerFault, SettingError, WaitTimeout
from pytest_sockets.matching import takes
from pytest_sockets.originals import monotonic
from pytest_sockets.processes import failures
from pytest_sockets.service_names import port_name
from pytest_sockets.table import holders
from pytest_sockets.table.readers import reader
from pytest_sockets.waiting import BUGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sockets.model import SocketEntry
    from pytest_sockets.processes.server_process import ServerProcess


class Readiness:
    """The readiness of one start of a server, checked repeatedly."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._ready = server.command.ready
        self._foreign_since: float | None = None
        self._size = -1
        self._error: Exception | None = None
        self._waiting_for = "it listened on a port"

    def look(self) -> bool:
        """Whether the server is ready. Raises `ProcessDied` if it ended, and the exception of a faulty check."""
        __tracebackhide__ = True
        server = self._server
        if not server.is_running:
            raise server.death(f"before {self.awaited}")
        ready = self._ready
        if ready is None:
            return self._listens()
        return self._matches(ready) if isinstance(ready, re.Pattern) else self._says_so(ready)

    @property
    def awaited(self) -> str:
        """The condition that is not true yet: "it listened on port 8000/tcp"."""
        if isinstance(self._ready, re.Pattern):
            return f"its output matched {self._ready.pattern!r}"
        return self._waiting_for if self._ready is None else f"ready={_name(self._ready)} was true"

    def timeout(self, seconds: float) -> WaitTimeout:
        """Return the error for a timeout of `seconds`."""
        server = self._server
        details = []
        if self._error is not None:
            details.append(f"ready last raised {type(self._error).__name__}: {self._error}")
        details += failures.listens_instead(server.tree(), server.command.protocol)
        headline = f"server {server} runs, but {seconds:g} s passed before {self.awaited}"
        return WaitTimeout(failures.text(headline, details, server.last_output()))

    def _listens(self) -> bool:
        server = self._server
        wanted = server.filled_ports
        if not wanted:
            found = listener_of(server)
            if found is not None:
                server.found_port = found.local.port
            return found is not None
        tree = server.tree()
        for name, port in wanted.items():
            self._waiting_for = f"it listened on port {port_name(port, server.command.protocol)}"
            split = ownership.split(self._listeners(name, port), tree)
            if not split.own:
                self._check_foreign(split.foreign, port)
                return False
        return True

    def _listeners(self, name: str, port: int) -> list[SocketEntry]:
        """Return the listeners of a port. The main port must answer for the host; a named one may have any address."""
        command = self._server.command
        if name:
            return [
                entry
                for protocol in ("tcp", "udp")
                for entry in reader().listening_on(port, protocol).without_holders()
            ]
        found = reader().listening_on(port, command.protocol)
        if not found or addresses.is_wildcard(command.host):
            return list(found.without_holders())
        test = takes(addresses.Wanted(command.host, port))
        return [entry for entry in found.without_holders() if test(entry)]

    def _check_foreign(self, foreign: list[SocketEntry], port: int) -> None:
        __tracebackhide__ = True
        if not foreign:
            self._foreign_since = None
            return
        now = monotonic()
        self._foreign_since = self._foreign_since or now
        if now - self._foreign_since < ownership.FOREIGN_GRACE:
            return
        server = self._server
        name = port_name(port, server.command.protocol)
        headline = f"server {server} cannot listen on port {name}: another process does"
        details = failures.taken_ports([port], server.command.protocol, server.tree(), ())
        raise WaitTimeout(failures.text(headline, details, server.last_output()))

    def _matches(self, pattern: re.Pattern[Any]) -> bool:
        size = self._server.output_size
        if size == self._size:
            return False
        self._size = size
        return match_in(pattern, self._server.output) is not None

    def _says_so(self, ready: Callable[..., Any]) -> bool:
        __tracebackhide__ = True
        if self._server.filled_ports.get("") is None and self._server.found_port is None:
            found = listener_of(self._server)
            if found is not None:
                self._server.found_port = found.local.port
        try:
            answer = ready(self._server) if _wants_server(ready) else ready()
        except BUGS as error:
            raise ServerFault(
                f"ready={_name(ready)} of server {self._server} raised {type(error).__name__}: {error}"
            ) from error
        except Exception as error:  # noqa: BLE001  (each client library has its own "connection refused")
            self._error = error
            return False
        if inspect.isawaitable(answer):
            if inspect.iscoroutine(answer):
                answer.close()
            raise SettingError(f"ready={_name(ready)} is asynchronous: use a plain function")
        self._error = None
        return bool(answer)


def listener_of(server: ServerProcess) -> SocketEntry | None:
    """Return the listener with the lowest descriptor, parents first; one that answers for the host is preferred."""
    protocol = server.command.protocol
    found = [
        entry
        for entry in holders.listening_of(server.tree())
        if entry.protocol == protocol and (entry.status == model.LISTEN or protocol == "udp")
    ]
    host = server.command.host
    if not addresses.is_wildcard(host):
        test = takes(addresses.Wanted(host, None))
        found.sort(key=lambda entry: not test(entry))
    return found[0] if found else None


def match_in(pattern: re.Pattern[Any], text: str) -> re.Match[Any] | None:
    """Search text with a pattern of str or bytes."""
    return pattern.search(text if isinstance(pattern.pattern, str) else text.encode())


def _wants_server(ready: Callable[..., Any]) -> bool:
    """Whether a callable has a parameter without a default, and therefore gets the server as its argument."""
    try:
        parameters = inspect.signature(ready).parameters.values()
    except (TypeError, ValueError):
        return False
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(one.kind in kinds and one.default is inspect.Parameter.empty for one in parameters)


def _name(ready: object) -> str:
    return getattr(ready, "__name__", None) or type(ready).__name__
