"""The owners of sockets, threads and child processes, and whether each has ended."""

from __future__ import annotations

import itertools
from typing import Final

_ends: Final = itertools.count(1)


class Owner:
    """The test, fixture, class, module, session or import during which a socket was opened.

    Compared by identity: each set-up of a fixture and each attempt of a rerun test is an owner of its own.
    """

    definition: object = None
    """A fixture's function."""
    raised = False
    """Whether it is a fixture whose set-up raised."""
    parameter = ""
    """The parameter of a parametrized fixture, as text."""

    def __init__(self, kind: str, name: str, scope: str, context: object = None) -> None:
        self.kind = kind
        self.name = name
        self.scope = scope
        self.context = context
        """An object that the caller stores with the owner. The plugin stores the node whose marks apply."""
        self.end_number = 0
        """Its position in the order in which owners ended; 0 until its whole teardown has run."""
        self.has_records = False
        """Whether it has ever owned a socket."""

    @property
    def over(self) -> bool:
        """Whether its whole teardown has run."""
        return self.end_number > 0

    def end(self) -> None:
        """Mark the end of the whole teardown. Sockets that are still open from now on are leaks."""
        self.end_number = self.end_number or next(_ends)

    def __str__(self) -> str:
        if self.kind == "fixture":
            return f"fixture {self.name!r} (scope {self.scope})"
        return self.kind if self.kind == "session" else f"{self.kind} {self.name}"


NEVER_OVER: Final = Owner("session", "session", "session")
"""An owner that never ends, so its sockets are never judged."""


class Scope:
    """An owner whose code runs, and the phase: setup, call, teardown or import."""

    __slots__ = ("owner", "phase")

    def __init__(self, owner: Owner, phase: str) -> None:
        self.owner = owner
        self.phase = phase
