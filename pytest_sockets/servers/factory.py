"""Makes servers and stops all that it made; what a fixture holds. Knows nothing of pytest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from pytest_sockets.errors import blames_the_call
from pytest_sockets.servers.echo import EchoServer
from pytest_sockets.servers.proxy import FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sockets.servers.server import Server

S = TypeVar("S", bound="Server")


class ServerFactory(Generic[S]):
    """Call it for a server; `close()` stops them all, the last one first."""

    def __init__(self, make: Callable[..., S], made: Callable[[Server], None] = lambda _: None) -> None:
        self._make = make
        self._made = made
        self.servers: list[S] = []

    @blames_the_call
    def __call__(self, *args: Any, **settings: Any) -> S:
        """A running server; the arguments are those of `EchoServer` or `FaultProxy`."""
        __tracebackhide__ = True  # a wrong keyword is a TypeError of the call
        server = self._make(*args, **settings)
        self.servers.append(server)
        self._made(server)
        return server

    def close(self) -> None:
        """Stop them all, then raise `ServerFault` for the first that went wrong inside."""
        errors: list[Exception] = []
        for server in reversed(self.servers):
            try:
                server.stop()
                server.check()
            except Exception as error:  # noqa: BLE001  (the others must be stopped too)
                errors.append(error)
        self.servers.clear()
        if errors:
            raise errors[-1]


class EchoServerFactory(ServerFactory[EchoServer]):
    """Makes echo servers. Type checkers see the signature of `EchoServer`."""

    if TYPE_CHECKING:
        __call__: ClassVar[type[EchoServer]]


class FaultProxyFactory(ServerFactory[FaultProxy]):
    """Makes fault proxies. Type checkers see the signature of `FaultProxy`."""

    if TYPE_CHECKING:
        __call__: ClassVar[type[FaultProxy]]
