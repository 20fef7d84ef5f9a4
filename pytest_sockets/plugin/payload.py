"""What one process sends to the one that reports: plain data on the teardown report, the same with and without xdist."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, NamedTuple

from pytest_sockets.leaks.findings import Finding, Frame
from pytest_sockets.reports.spans import SocketLife

_PLAIN = (
    "rule_hits", "ignored", "collected", "troubles", "notes", "listening", "ports_given", "servers_started",
)  # fmt: skip


class Leak(NamedTuple):
    """A finding and what follows from it."""

    finding: Finding
    mode: str
    raised: bool = False
    """An error in the owner's teardown has been raised for it; else an `error` must be shown by the exit status."""
    known: bool = False
    """The baseline lists it."""


@dataclasses.dataclass(slots=True)
class Payload:
    """What became known at the end of one test, or at the end of a process."""

    opened: int = 0
    leaks: list[Leak] = dataclasses.field(default_factory=list)
    lives: list[SocketLife] = dataclasses.field(default_factory=list)
    rule_hits: dict[str, int] = dataclasses.field(default_factory=dict)
    """How often each rule of the run matched; rules that matched nothing are there with 0."""
    ignored: dict[str, int] = dataclasses.field(default_factory=dict)
    """How many findings were not reported, by the rule, default or hook that says so."""
    collected: int = 0
    """Sockets that were open after their owner and that only the garbage collector closed."""
    troubles: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    listening: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    ports_given: int = 0
    servers_started: int = 0

    def as_json(self) -> dict[str, Any]:
        """What execnet and every report plugin can serialize.

        All but the count is JSON text in ASCII: execnet refuses lone surrogates, which file names may have.
        """
        rest: dict[str, Any] = {}
        if self.leaks:
            rest["leaks"] = [{**leak._asdict(), "finding": leak.finding.as_json()} for leak in self.leaks]
        if self.lives:
            rest["lives"] = [dataclasses.asdict(life) for life in self.lives]
        rest |= {name: value for name in _PLAIN if (value := getattr(self, name))}
        return {"opened": self.opened, "rest": json.dumps(rest)} if rest else {"opened": self.opened}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Payload:
        """The inverse of `as_json`."""
        rest = json.loads(data.get("rest", "{}"))
        leaks = [
            Leak(**{**leak, "finding": Finding.from_json(leak["finding"])}) for leak in rest.pop("leaks", ())
        ]
        lives = [_life(life) for life in rest.pop("lives", ())]
        listening = [(endpoint, process) for endpoint, process in rest.pop("listening", ())]
        return cls(opened=data["opened"], leaks=leaks, lives=lives, listening=listening, **rest)


def _life(data: dict[str, Any]) -> SocketLife:
    opened_at = data["opened_at"]
    return SocketLife(**{**data, "opened_at": Frame(**opened_at) if opened_at else None})
