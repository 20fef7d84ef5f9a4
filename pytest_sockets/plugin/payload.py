"""The data that a process sends to the reporting process on teardown reports, the same with and without xdist."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, NamedTuple

from pytest_sockets.leaks.findings import Finding, Frame
from pytest_sockets.reports.spans import SocketLife

_PLAIN = (
    "rule_hits", "ignored", "collected", "internal_errors", "notes", "listening", "ports_given", "servers_started",
)  # fmt: skip


class Leak(NamedTuple):
    """A finding and its consequences."""

    finding: Finding
    mode: str
    raised: bool = False
    """Whether an error in the owner's teardown was raised for it. If not, the exit status must show an `error`."""
    known: bool = False
    """Whether the baseline lists it."""


@dataclasses.dataclass(slots=True)
class Payload:
    """The results of one test, or of the end of a process."""

    opened: int = 0
    leaks: list[Leak] = dataclasses.field(default_factory=list)
    lives: list[SocketLife] = dataclasses.field(default_factory=list)
    rule_hits: dict[str, int] = dataclasses.field(default_factory=dict)
    """The number of matches of each rule of the run, including rules with 0."""
    ignored: dict[str, int] = dataclasses.field(default_factory=dict)
    """The number of findings that were not reported, by the rule, default or hook that dropped them."""
    collected: int = 0
    """The number of sockets that outlived their owner and that only the garbage collector closed."""
    internal_errors: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    listening: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    ports_given: int = 0
    servers_started: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return data that execnet and every report plugin can serialize.

        All but the count is JSON text in ASCII: execnet rejects lone surrogates, which file names may contain.
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
        """Restore a payload from the result of `as_json`."""
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
