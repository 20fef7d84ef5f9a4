"""Whose code runs. Apart from the findings, which nothing needs in a run that leaks nothing."""

from __future__ import annotations

from typing import NamedTuple


class Owner:
    """The test, fixture, class, module, session or import during which a socket was opened.

    Compared by identity: each set-up of a fixture and each attempt of a rerun test is an owner of its own.
    """

    __slots__ = ("context", "kind", "name", "over", "scope")

    def __init__(self, kind: str, name: str, scope: str, context: object = None) -> None:
        self.kind = kind
        self.name = name
        self.scope = scope
        self.context = context
        """Whatever the caller wants to find again with the owner; the plugin's: the node whose marks count."""
        self.over = False
        """Its whole teardown has run."""

    def __str__(self) -> str:
        if self.kind == "fixture":
            return f"fixture {self.name!r} (scope {self.scope})"
        return self.kind if self.kind == "session" else f"{self.kind} {self.name}"


class Scope(NamedTuple):
    """Whose code runs, in which phase of it: setup, call, teardown or import."""

    owner: Owner
    phase: str
