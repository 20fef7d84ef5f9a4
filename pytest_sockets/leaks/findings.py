"""What the detector says: who owned which socket, where it was opened, why it counts. Plain values, JSON both ways."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from pytest_sockets.leaks.records import Owner
from pytest_sockets.model import Endpoint, SocketEntry

LEFT_BEHIND: Final = "the process that was started there has ended, this one, which that had started, goes on"
SETUP_RAISED: Final = "the set-up raised after this was opened, so nothing after its `yield` runs"
"""Notes that call for another fix."""
LOOP_NOT_CLOSED: Final = "the self-pipe of an event loop that was never closed: loop.close()"
OPEN: Final = "open"
UNCLOSED: Final = "unclosed"


@dataclasses.dataclass(frozen=True, slots=True)
class Frame:
    """One line of a stack. `file` is relative to rootdir where it lies below it."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.function}"


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One socket that was left open (kind `open`) or that only the interpreter closed (kind `unclosed`)."""

    kind: str
    nodeid: str
    """The test after which it was found."""
    owner_kind: str
    owner_name: str
    owner_scope: str
    phase: str
    socket: SocketEntry
    process: str | None = None
    """The command line, if another process holds the socket."""
    opened_at: Frame | None = None
    stack: tuple[Frame, ...] = ()
    """Innermost first."""
    held_by: tuple[str, ...] = ()
    """What still refers to it, nearest first; empty if nothing is known."""
    note: str | None = None
    """What else must be known: opened by one test but kept by a fixture, a duplicate of another descriptor, ..."""
    worker: str | None = None

    @property
    def owner(self) -> str:
        """The owner in words."""
        return str(Owner(self.owner_kind, self.owner_name, self.owner_scope))

    @property
    def place(self) -> str:
        """The opening line as FILE:LINE, or what is known instead."""
        if self.opened_at:
            return f"{self.opened_at.file}:{self.opened_at.line}"
        return self.process or "no line of Python code"

    def as_json(self) -> dict[str, Any]:
        """The shape of one leak in the JSON report, schema 1; also what travels from an xdist worker."""
        return {
            "kind": self.kind,
            "nodeid": self.nodeid,
            "owner": {
                "kind": self.owner_kind,
                "name": self.owner_name,
                "scope": self.owner_scope,
                "phase": self.phase,
            },
            "socket": {
                "protocol": self.socket.protocol,
                "family": self.socket.family,
                "local": list(self.socket.local),
                "remote": list(self.socket.remote) if self.socket.remote else None,
                "status": self.socket.status,
                "fd": self.socket.fd,
                "inode": self.socket.inode,
                "pid": self.socket.pid,
                "process": self.process,
            },
            "opened_at": dataclasses.asdict(self.opened_at) if self.opened_at else None,
            "stack": [dataclasses.asdict(frame) for frame in self.stack],
            "held_by": list(self.held_by),
            "note": self.note,
            "worker": self.worker,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Finding:
        """The inverse of `as_json`. Raises KeyError or TypeError for what is not such a shape."""
        owner, sock = data["owner"], data["socket"]
        return cls(
            kind=data["kind"],
            nodeid=data["nodeid"],
            owner_kind=owner["kind"],
            owner_name=owner["name"],
            owner_scope=owner["scope"],
            phase=owner["phase"],
            socket=SocketEntry(
                protocol=sock["protocol"],
                family=sock["family"],
                local=Endpoint(*sock["local"]),
                remote=Endpoint(*sock["remote"]) if sock["remote"] else None,
                status=sock["status"],
                fd=sock["fd"],
                inode=sock["inode"],
                pid=sock["pid"],
            ),
            process=sock["process"],
            opened_at=Frame(**data["opened_at"]) if data["opened_at"] else None,
            stack=tuple(Frame(**frame) for frame in data["stack"]),
            held_by=tuple(data.get("held_by", ())),
            note=data.get("note"),
            worker=data["worker"],
        )
