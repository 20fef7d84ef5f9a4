"""The findings of leak detection: owner, socket, opening line and reason. Plain values, to and from JSON."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from pytest_sockets.leaks.owner import Owner
from pytest_sockets.model import Endpoint, SocketEntry

LEFT_BEHIND: Final = (
    "the process that was started there has ended, but this process, which it had started, still runs"
)
SETUP_RAISED: Final = "the set-up raised after this was opened, so nothing after its `yield` runs"
"""Notes that need a different fix."""
LOOP_NOT_CLOSED: Final = "the self-pipe of an event loop that was never closed: loop.close()"
OPEN: Final = "open"
UNCLOSED: Final = "unclosed"


@dataclasses.dataclass(frozen=True, slots=True)
class Frame:
    """One line of a stack. `file` is relative to rootdir if it is below it."""

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
    """The test after which the socket was found."""
    owner_kind: str
    owner_name: str
    owner_scope: str
    phase: str
    socket: SocketEntry
    process: str | None = None
    """The command line of the process that holds the socket; None for this process."""
    opened_at: Frame | None = None
    stack: tuple[Frame, ...] = ()
    """The opening stack, innermost first."""
    held_by: tuple[str, ...] = ()
    """The objects that still refer to the socket, nearest first; empty if none is known."""
    note: str | None = None
    """Further facts: opened by one test but kept by a fixture, a duplicate of another descriptor, ..."""
    worker: str | None = None
    owner_file: str | None = None
    """The file that defines the owner, relative to rootdir if it is below it."""
    owner_line: int | None = None
    owner_parameter: str | None = None
    """The parameter of a parametrized fixture, as text."""
    opened: float | None = None
    """The time of opening in seconds since the epoch; None if no report needs times."""
    owner_ended: float | None = None
    """The time of judgement, after the owner's teardown."""
    known: bool = False
    """Whether the baseline lists it."""
    annotations: dict[str, str] = dataclasses.field(default_factory=dict, hash=False)
    """The additions of `pytest_sockets_finding` hooks, which every report shows."""

    @property
    def owner(self) -> str:
        """The owner as text."""
        return str(Owner(self.owner_kind, self.owner_name, self.owner_scope))

    @property
    def place(self) -> str:
        """The opening line as FILE:LINE; without one, the command line of the process or a short text."""
        if self.opened_at:
            return f"{self.opened_at.file}:{self.opened_at.line}"
        return self.process or "no line of Python code"

    def as_json(self) -> dict[str, Any]:
        """Return every field as JSON types. Xdist workers send findings in this form."""
        data = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        data["socket"] = dataclasses.asdict(self.socket)
        data["opened_at"] = self.opened_at and dataclasses.asdict(self.opened_at)
        data["stack"] = [dataclasses.asdict(frame) for frame in self.stack]
        data["held_by"] = list(self.held_by)
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Finding:
        """Return the finding of an `as_json` result. Raises KeyError or TypeError for any other shape."""
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
