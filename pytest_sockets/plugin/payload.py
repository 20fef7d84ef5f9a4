"""What one process tells the one that reports: plain data on the teardown report, the same with and without xdist."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from pytest_sockets.leaks.findings import Finding, Frame
from pytest_sockets.reports.spans import SocketLife


class Leak(NamedTuple):
    """A finding and what follows from it."""

    finding: Finding
    mode: str
    raised: bool = False
    """An error in the owner's teardown has been raised for it; else an `error` must be shown by the exit status."""
    known: bool = False
    """The baseline lists it."""


@dataclasses.dataclass(slots=True)
class Batch:
    """What became known at the end of one test, or at the end of a process."""

    opened: int = 0
    leaks: list[Leak] = dataclasses.field(default_factory=list)
    lives: list[SocketLife] = dataclasses.field(default_factory=list)
    rule_hits: dict[str, int] = dataclasses.field(default_factory=dict)
    troubles: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    listening: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    ports_given: int = 0
    servers_started: int = 0
    collected: int = 0
    """Sockets that only the garbage collector closed."""

    def as_json(self) -> dict[str, Any]:
        """JSON-able: xdist and report plugins serialize it."""
        data: dict[str, Any] = {"opened": self.opened}
        if self.leaks:
            data["leaks"] = [
                {
                    "finding": leak.finding.as_json(),
                    "mode": leak.mode,
                    "raised": leak.raised,
                    "known": leak.known,
                }
                for leak in self.leaks
            ]
        if self.lives:
            data["lives"] = [dataclasses.asdict(life) for life in self.lives]
        for name in (
            "rule_hits",
            "troubles",
            "notes",
            "listening",
            "ports_given",
            "servers_started",
            "collected",
        ):
            if value := getattr(self, name):
                data[name] = value
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Batch:
        """The inverse of `as_json`."""
        return cls(
            opened=data["opened"],
            leaks=[
                Leak(Finding.from_json(leak["finding"]), leak["mode"], leak["raised"], leak["known"])
                for leak in data.get("leaks", ())
            ],
            lives=[_life(life) for life in data.get("lives", ())],
            rule_hits=data.get("rule_hits", {}),
            troubles=list(data.get("troubles", ())),
            notes=list(data.get("notes", ())),
            listening=[(endpoint, process) for endpoint, process in data.get("listening", ())],
            ports_given=data.get("ports_given", 0),
            servers_started=data.get("servers_started", 0),
            collected=data.get("collected", 0),
        )


def _life(data: dict[str, Any]) -> SocketLife:
    opened_at = data["opened_at"]
    return SocketLife(**{**data, "opened_at": Frame(**opened_at) if opened_at else None})
