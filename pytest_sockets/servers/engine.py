"""What stream and datagram servers have in common: a place in the hub, the faults in force, what went wrong."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_sockets.errors import ServerFault
from pytest_sockets.servers import listening
from pytest_sockets.servers.current_hub import current_hub, give_up
from pytest_sockets.servers.failures import Failures
from pytest_sockets.servers.faults.base import ActiveFault, Fault
from pytest_sockets.servers.hub import HubStuck

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sockets.servers.hub import Hub
    from pytest_sockets.servers.listening import Bound

    T = TypeVar("T")


class Engine:
    """A running server without its public face. Every method may be called from any thread."""

    def __init__(self, bound: list[Bound], name: str) -> None:
        self.bound = bound
        self.name = name
        self.hub: Hub = current_hub()
        self.failures = Failures(name)
        self.active_faults: list[ActiveFault] = []
        self.stopping = self.stopped = False
        self.connecting: set[object] = set()
        """Our own clients that are inside connect(2) now, added and taken out in their own threads."""
        self._pid = os.getpid()

    # What a subclass does, in the hub

    def started(self) -> None:
        """Begin to listen for events."""
        raise NotImplementedError

    def faults_changed(self) -> None:
        """`active_faults` is a new list."""
        raise NotImplementedError

    def close_sockets(self) -> None:
        """Close all, at once; also called outside the hub's lock when the hub is stuck or was left behind by a fork."""
        raise NotImplementedError

    def stop_sockets(self) -> None:
        """Take everything out of the hub and reset what is open."""
        raise NotImplementedError

    def concerned(self) -> str:
        """Which connections a call that does not come back is about."""
        return self.name

    # From any thread

    def run(self, work: Callable[[], T]) -> T:
        """Do `work` in the hub; raises `ServerFault` if this server is not of this process."""
        if self._pid != os.getpid():
            raise ServerFault(
                f"{self.name} was started by process {self._pid}; this is process {os.getpid()}, forked from it\n"
                "its sockets were closed here, the parent still serves; start a server in the child instead"
            )
        if self.stopped:
            raise ServerFault(f"{self.name} is stopped")
        return self.hub.run(work, self.concerned)

    def start(self) -> None:
        """Serve from now on; clients may have connected already."""

        def work() -> None:
            self.hub.hosted.add(self)
            self.started()

        self.run(work)

    def add_faults(self, faults: tuple[Fault, ...]) -> list[ActiveFault]:
        """These faults too, behind those that are in force."""
        added = [ActiveFault(fault) for fault in faults]

        def work() -> None:
            self.active_faults = [*self.active_faults, *added]
            self.faults_changed()

        self.run(work)
        return added

    def remove_faults(self, forces: list[ActiveFault]) -> None:
        """These no longer."""

        def work() -> None:
            self.active_faults = [force for force in self.active_faults if force not in forces]
            self.faults_changed()

        if not self.stopped:
            self.run(work)

    def stop(self) -> None:
        """Reset what is open, give the address back. Does nothing a second time, or in a forked child."""
        if self.stopped or self._pid != os.getpid():
            return

        def work() -> None:
            self.hub.hosted.discard(self)
            self.stop_sockets()

        try:
            self.run(work)
        except HubStuck:
            give_up(self.hub)
            self.close_sockets()
            raise
        finally:
            self.stopped = True
            for bound in self.bound:
                if bound.endpoint.port is None:
                    listening.remove_path(bound)

    def abandon_in_child(self) -> None:
        """After a fork, in the child: nothing of it is ours."""
        self.close_sockets()


class SocketHandler:
    """The hub's handler for one of a server's own sockets."""

    __slots__ = ("engine", "ready", "sock")

    def __init__(self, engine: Engine, sock: Any, ready: Callable[[Any], None]) -> None:
        self.engine = engine
        self.sock = sock
        self.ready = ready

    def on_event(self, events: int) -> None:  # noqa: ARG002  (the hub's signature)
        """From the hub."""
        self.ready(self)

    def failed(self, error: BaseException) -> None:
        """An event's handling raised."""
        self.engine.failures.add(error, self.describe())

    def describe(self) -> str:
        """For messages."""
        return self.engine.name
