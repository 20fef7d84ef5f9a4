"""Waits that read the socket table and never connect, so that the server notices nothing.

Each wait has an `async_` twin that sleeps in the running event loop of asyncio or trio. A look takes about 50 us on
Linux.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_sockets.asserting.wait_conditions import ConnectionsWait, ListeningWait, SilenceWait
from pytest_sockets.table.readers import reader
from pytest_sockets.waiting import async_wait_until, wait_until

if TYPE_CHECKING:
    from pytest_sockets.asserting.wait_conditions import AsyncCheck, Check
    from pytest_sockets.literals import PortProtocol
    from pytest_sockets.model import SocketTable


def _longest_pause(check: object = None) -> float:
    """Return the longest pause between two looks, in proportion to their cost: 50 us by sock_diag, 30 ms by psutil."""
    return 0.008 if check is None and reader().name == "sock_diag" else 0.05


def wait_listening(
    port: int,
    host: str | None = None,
    *,
    protocol: PortProtocol = "tcp",
    timeout: float = 5.0,
    process: Any = None,
    check: Check | None = None,
) -> SocketTable:
    """Wait until a socket listens on `port`; return the listeners.

    With `host`, that address must accept connections ("localhost": any of its addresses). With `process` (a Popen,
    psutil.Process, pid, `ServerProcess` or threading.Thread), that process or a descendant must hold the listener.
    `check()` must be true as well: use it for a server behind a port forwarder, which listens before the server does.

    Raises `ProcessDied` at once when the process ends. It has the exit status, or the thread's exception as its cause,
    and the last lines of stdout and stderr, read from their pipes. Raises `WaitTimeout` after `timeout` seconds, or as
    soon as another process keeps the port; it names the ports that are open instead.
    """
    __tracebackhide__ = True
    with ListeningWait(port, host, protocol, timeout, process, check) as wait:
        found = wait_until(wait.look_and_check, wait.timeout, longest=_longest_pause(check))
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
    check: AsyncCheck | None = None,
) -> SocketTable:
    """Wait like `wait_listening`, in an asyncio or trio event loop; `check` may be asynchronous."""
    __tracebackhide__ = True
    with ListeningWait(port, host, protocol, timeout, process, check) as wait:
        longest = _longest_pause(check)
        found: SocketTable | None = await async_wait_until(
            wait.async_look_and_check, wait.timeout, longest=longest
        )
        if found is None:
            raise wait.failure(awaited=True)
        return found


def wait_not_listening(
    port: int, host: str | None = None, *, protocol: PortProtocol = "tcp", timeout: float = 5.0
) -> None:
    """Wait until no socket listens on `port`; `WaitTimeout` names those that still do."""
    __tracebackhide__ = True
    wait = SilenceWait(port, host, protocol, timeout)
    if not wait_until(wait.look, wait.timeout, longest=_longest_pause()):
        raise wait.failure()


async def async_wait_not_listening(
    port: int,
    host: str | None = None,
    *,
    protocol: PortProtocol = "tcp",
    timeout: float = 5.0,
) -> None:
    """Wait like `wait_not_listening`, in an asyncio or trio event loop."""
    __tracebackhide__ = True
    wait = SilenceWait(port, host, protocol, timeout)
    if not await async_wait_until(wait.look, wait.timeout, longest=_longest_pause()):
        raise wait.failure()


def wait_no_connections(
    port: int, host: str | None = None, *, protocol: PortProtocol = "tcp", timeout: float = 5.0
) -> None:
    """Wait until no connection has `port` on either side.

    TIME_WAIT counts as closed. `WaitTimeout` names the remaining connections.
    """
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
    """Wait like `wait_no_connections`, in an asyncio or trio event loop."""
    __tracebackhide__ = True
    wait = ConnectionsWait(port, host, protocol, timeout)
    if not await async_wait_until(wait.look, wait.timeout, longest=_longest_pause()):
        raise wait.failure()
