"""One server process for all xdist workers of a run: its start, its discovery by other workers, and its end.

The workers share a directory that is named after the run. The first worker that takes a server's lock starts the server and
records its address; the others read that record. The server's keeper watches the controller, not the worker that started
it. The keeper listens on a unix socket in the directory, through which the controller ends the server.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import re
import shutil
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.errors import ServerFault
from pytest_sockets.originals import RealOs
from pytest_sockets.processes import command as commands
from pytest_sockets.processes.keeper import packed, unpacked
from pytest_sockets.real_socket import RealSocket
from pytest_sockets.table import proc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sockets.processes.command import Command
    from pytest_sockets.processes.server_process import ServerProcess

_ENDING: Final = 20.0


def directory_of(run: str, controller: int) -> Path:
    """Return the directory of a run, by its id, which users can set, and its controller. The first server creates it."""
    name = hashlib.sha256(f"{run} {controller}".encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"pytest-sockets-{os.getuid()}-{name}"


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """The file's record of a shared server."""

    pid: int
    keeper: int
    started: int | None
    """The start time of the keeper, which differs for a reused process id."""
    ports: dict[str, int]


class SharedPlace:
    """The files of one shared server."""

    def __init__(self, directory: Path, key: str) -> None:
        self.record = directory / f"{key}.json"
        self.output = directory / f"{key}.out"
        self.lock = directory / f"{key}.lock"
        self.exit = directory / f"{key}.exit"
        self.socket = directory / f"{key}.sock"

    def listen(self) -> RealSocket:
        """Return the socket on which the server's keeper accepts commands."""
        self.socket.unlink(missing_ok=True)
        listener = RealSocket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self.socket))
        listener.listen(8)
        return listener

    def read(self) -> Record | None:
        """Return the running server; None if none was started, or if the starting worker died during the start."""
        try:
            return Record(**json.loads(self.record.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, record: Record) -> None:
        """Write the record atomically, so that readers never see a part of it."""
        fresh = self.record.with_suffix(".new")
        fresh.write_text(json.dumps(dataclasses.asdict(record)))
        fresh.replace(self.record)

    def exit_status(self) -> int | None:
        """Return the exit status of the started process; None while it runs."""
        try:
            return int(self.exit.read_text())
        except (OSError, ValueError):
            return None


class SharedServers:
    """A worker's access to the shared servers of its run."""

    def __init__(self, run: str, controller: int) -> None:
        self._directory = directory_of(run, controller)
        self._controller = controller
        self._asked: dict[str, int] = {}

    def obtain(self, command: Any, settings: dict[str, Any]) -> ServerProcess:
        """Return the server with these arguments. The first worker starts it. Raises as `ServerProcess` does."""
        __tracebackhide__ = True
        from pytest_sockets.processes.attached import AttachedServer, SharingServer

        checked = commands.checked(
            command, **{name: value for name, value in settings.items() if name != "pool"}
        )
        place = self._place(checked)
        with _locked(place.lock):
            record = place.read()
            if record is not None:
                server = AttachedServer(checked, place, record)
                server.check()
                return server
            return SharingServer(command, place=place, watch=(self._controller,), **settings)

    def _place(self, command: Command) -> SharedPlace:
        """Return the place for these arguments. A repeated equal call is another server, the same in every worker."""
        key = _digest(command)
        number = self._asked[key] = self._asked.get(key, 0) + 1
        self._directory.mkdir(mode=0o700, exist_ok=True)
        if self._directory.lstat().st_uid != os.getuid():
            raise ServerFault(f"{self._directory} is another user's: set TMPDIR to a directory of your own")
        return SharedPlace(self._directory, f"{key}-{number}")


def end_all(run: str) -> list[str]:
    """End the run's shared servers and remove their directory, in the controller. Return a text for each failure."""
    directory = directory_of(run, os.getpid())
    if not RealOs.isdir(str(directory)):
        return []
    try:
        sockets = [path for path in directory.iterdir() if path.suffix == ".sock"]
        return [text for path in sockets if (text := _end(path))]
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _end(path: Path) -> str | None:
    """End one server through its keeper's socket. Return None if it has ended, else a text."""
    connection = RealSocket(socket.AF_UNIX, socket.SOCK_STREAM)
    buffer = bytearray()
    try:
        connection.settimeout(_ENDING)
        connection.connect(str(path))
        connection.sendall(packed(("finish",)))
        while piece := connection.recv(65536):
            buffer += piece
            for event, *values in unpacked(buffer):
                if event == "ended":
                    return (
                        f"processes {values[0]} of a shared server could not be killed" if values[0] else None
                    )
    except TimeoutError:
        return f"a shared server did not end within {_ENDING:g} s"
    except OSError:
        return None
    finally:
        connection.close()
    return None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock while a server starts. The kernel releases it if the worker is killed."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _digest(command: Command) -> str:
    """Return a digest that equal calls share: of every argument, and of a callable's name and module."""
    values = dataclasses.asdict(dataclasses.replace(command, ready=None))
    values["env"] = sorted(command.env.items())
    ready = command.ready
    if isinstance(ready, re.Pattern):
        values["ready"] = [repr(ready.pattern), ready.flags]
    elif ready is not None:
        values["ready"] = [
            getattr(ready, "__module__", ""),
            getattr(ready, "__qualname__", type(ready).__qualname__),
        ]
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]


def is_alive(record: Record) -> bool:
    """Whether the keeper of a shared server still runs."""
    birth = proc.birth(record.keeper) if proc.AVAILABLE else None
    if birth is None:
        return not proc.AVAILABLE
    return birth[0] != "Z" and record.started in (None, birth[1])
