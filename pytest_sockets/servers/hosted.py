"""What does the hub call? The owners of sockets, for their events, and the servers that live in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pytest_sockets.real_socket import RealSocket


class Handler(Protocol):
    """The owner of a socket: the hub calls it for each event on that socket."""

    sock: RealSocket

    def on_event(self, events: int) -> None: ...
    def failed(self, error: BaseException) -> None: ...
    def describe(self) -> str: ...


class HostedServer(Protocol):
    """A server that lives in the hub."""

    def abandon_in_child(self) -> None: ...
