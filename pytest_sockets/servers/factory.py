"""Makes servers and stops all that it made; what a fixture holds. Knows nothing of pytest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from pytest_sockets.errors import ServerFault, blames_the_call
from pytest_sockets.servers.echo import EchoServer
from pytest_sockets.servers.failures import first_line
from pytest_sockets.servers.proxy import FaultProxy
from pytest_sockets.servers.scripted import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sockets.servers.server import Server

S = TypeVar("S", bound="Server")


class ServerFactory(Generic[S]):
    """Call it for a server; `close()` stops them all, the last one first."""

    def __init__(
        self,
        make: Callable[..., S],
        made: Callable[[Server], None] = lambda _: None,
        owner: str = "this factory",
    ) -> None:
        self._make = make
        self._made = made
        self._owner = owner
        self._is_closed = False
        self.servers: list[S] = []

    @blames_the_call
    def __call__(self, *args: Any, **settings: Any) -> S:
        """A running server; the arguments are those of its class, such as `EchoServer`."""
        __tracebackhide__ = True  # a wrong keyword is a TypeError of the call
        if self._is_closed:
            raise ServerFault(
                f"{self._owner} is over: its servers are stopped, and it makes no new ones\n"
                "use the session_... factory for servers that outlive one test"
            )
        server = self._make(*args, **settings)
        self.servers.append(server)
        self._made(server)
        return server

    def close(self) -> None:
        """Stop them all, then raise `ServerFault` for what went wrong inside and was not reported yet."""
        __tracebackhide__ = True
        self._is_closed = True
        errors: list[Exception] = []
        for server in reversed(self.servers):
            try:
                server.stop()
                server.check()
            except Exception as error:  # noqa: BLE001  (the others must be stopped too)
                errors.append(error)
        self.servers.clear()
        if errors:
            *others, first = errors
            for other in reversed(others):
                first.add_note(f"and: {first_line(other)}")
            raise first.with_traceback(None)


class EchoServerFactory(ServerFactory[EchoServer]):
    """Makes echo servers. Type checkers see the signature of `EchoServer`."""

    if TYPE_CHECKING:
        __call__: ClassVar[type[EchoServer]]


class FaultProxyFactory(ServerFactory[FaultProxy]):
    """Makes fault proxies. Type checkers see the signature of `FaultProxy`."""

    if TYPE_CHECKING:
        __call__: ClassVar[type[FaultProxy]]


class ScriptedServerFactory(ServerFactory[ScriptedServer]):
    """Makes scripted servers. Type checkers see the signature of `ScriptedServer`."""

    if TYPE_CHECKING:
        __call__: ClassVar[type[ScriptedServer]]
