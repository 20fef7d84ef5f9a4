"""A shared server in the worker that started it, and in the workers that found it running."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Never

from pytest_sockets.errors import ServerFault
from pytest_sockets.processes.kept_tree import KeptTree
from pytest_sockets.processes.output import Output
from pytest_sockets.processes.server_process import ServerProcess
from pytest_sockets.processes.shared import Record, is_alive
from pytest_sockets.table import holders, proc

if TYPE_CHECKING:
    from pytest_sockets.processes.command import Command, Launch
    from pytest_sockets.processes.shared import SharedPlace


class _Shared(ServerProcess):
    """Refuses the operations that would affect other workers."""

    def stop(self) -> None:
        """Do nothing: the controller ends a shared server at the end of the run."""

    def kill(self) -> Never:
        """Refused."""
        raise self._refusal("kill")

    def restart(self) -> Never:
        """Refused."""
        raise self._refusal("restart")

    def pause(self) -> Never:
        """Refused."""
        raise self._refusal("pause")

    def resume(self) -> Never:
        """Refused."""
        raise self._refusal("resume")

    def signal(self, number: int) -> Never:
        """Refused."""
        raise self._refusal(f"signal({number})")

    def _refusal(self, what: str) -> ServerFault:
        return ServerFault(
            f"{what}: server {self} is shared with other workers; start one without shared=True for this"
        )


class SharingServer(_Shared):
    """A shared server that this worker started. It belongs to the run once it is ready."""

    def __init__(self, command: Any, *, place: SharedPlace, **settings: Any) -> None:
        self._place = place
        super().__init__(command, **settings)
        tree = self._started_tree
        birth = proc.birth(tree.keeper) if proc.AVAILABLE else None
        started = birth[1] if birth is not None else None
        place.write(Record(tree.pid, tree.keeper, started, {**self.filled_ports, **self._discovered()}))
        tree.share()

    def _discovered(self) -> dict[str, int]:
        return {} if self.found_port is None else {"": self.found_port}

    def _make_output(self) -> Output:
        return Output(str(self._place.output))

    def _launched(self, launch: Launch) -> KeptTree:
        listener = self._place.listen()
        self._place.exit.unlink(missing_ok=True)
        try:
            return KeptTree(launch, self._output.fd, watch=self._watch, shared=(listener, self._place))
        finally:
            listener.close()

    def close(self) -> None:
        """Detach from the server. Its ports stay reserved until this worker ends, and it runs until the run ends."""
        if self._was_ready:
            self._output.close()
        else:
            super().close()


class AttachedServer(_Shared):
    """A shared server of another worker. Its facts come from its files and the process table."""

    def __init__(self, command: Command, place: SharedPlace, record: Record) -> None:
        self._place = place
        self._record = record
        self.command = command
        self._output = Output(str(place.output))
        self._begin = 0
        self._launch = command.launch(record.ports)
        self.found_port = record.ports.get("")
        self._was_ready = True

    @property
    def filled_ports(self) -> dict[str, int]:
        """The ports that the starting worker recorded, by name."""
        return {name: self._record.ports[name] for name in self.command.names}

    @property
    def pid(self) -> int:
        """The process id of the started process."""
        return self._record.pid

    @property
    def returncode(self) -> int | None:
        """The exit status of the started process; None while it runs."""
        return self._place.exit_status()

    def tree(self) -> list[int]:
        """The ids of all its processes, the started one first."""
        if not is_alive(self._record):
            return []
        first = [self.pid] if self.returncode is None else []
        return [*first, *(pid for pid in holders.descendants(self._record.keeper) if pid != self.pid)]

    @property
    def is_running(self) -> bool:
        """Whether the started process runs, or has ended with status 0 and left a daemon that runs."""
        return self.returncode in (None, 0) and bool(self.tree())

    @property
    def has_died(self) -> bool:
        """Whether it has ended. Only the controller may end it, after every worker."""
        return not self.is_running

    def __str__(self) -> str:
        return f"`{self._launch.title}` (pid {self.pid}, shared)" if self._launch else super().__str__()

    def close(self) -> None:
        """Detach from the server."""
        self._output.close()
