"""What the leak detection reports: owner, socket, opening line and reason. Plain values, JSON both ways."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from pytest_sockets.leaks.owner import Owner
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
    owner_file: str | None = None
    """Where the owner is defined; relative to rootdir where it lies below it."""
    owner_line: int | None = None
    owner_parameter: str | None = None
    """The parameter of a parametrized fixture, in words."""
    opened: float | None = None
    """When it was opened, in seconds since the epoch; None if no report asked for times."""
    owner_ended: float | None = None
    """When it was judged, after its owner's teardown."""
    known: bool = False
    """Listed in the baseline."""
    annotations: dict[str, str] = dataclasses.field(default_factory=dict, hash=False)
    """What a `pytest_sockets_finding` hook added: shown in every report."""

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
        """Every field as JSON types, as it travels from an xdist worker."""
        data = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        data["socket"] = dataclasses.asdict(self.socket)
        data["opened_at"] = self.opened_at and dataclasses.asdict(self.opened_at)
        data["stack"] = [dataclasses.asdict(frame) for frame in self.stack]
        data["held_by"] = list(self.held_by)
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Finding:
        """The inverse of `as_json`. Raises KeyError or TypeError for any other shape."""
        sock, opened_at = data["socket"], data["opened_at"]
        sock = {
            **sock,
            "local": Endpoint(*sock["local"]),
            "remote": Endpoint(*sock["remote"]) if sock["remote"] else None,
        }
        return cls(
            **{
                **data,
                "socket": SocketEntry(**sock),
                "opened_at": Frame(**opened_at) if opened_at else None,
                "stack": tuple(Frame(**frame) for frame in data["stack"]),
                "held_by": tuple(data["held_by"]),
            }
        )
