"""Generate the lists of the reference pages from the public names and the fixtures."""

from __future__ import annotations

import inspect
import textwrap
from importlib import import_module
from typing import Literal, get_origin

import pytest_sockets
from pytest_sockets.faults import Fault
from pytest_sockets.plugin import registration
from pytest_sockets.servers.server import Server

_TITLES = (
    ("Values", ("pytest_sockets.model",)),
    ("Reading the socket table", ("pytest_sockets.table",)),
    ("Waiting and checking", ("pytest_sockets.asserting",)),
    ("Ports", ("pytest_sockets.ports",)),
    ("Leak detection", ("pytest_sockets.leak_check", "pytest_sockets.leaks.findings")),
    ("Server processes", ("pytest_sockets.processes",)),
    ("Servers", ("pytest_sockets.servers", "pytest_sockets.faults")),
    ("Errors and warnings", ("pytest_sockets.errors",)),
    ("Types of arguments and results", ("pytest_sockets.literals",)),
)


def api_list() -> str:
    """Return reStructuredText: each public name, grouped by package."""
    homes = {name: _home(name) for name in pytest_sockets.__all__}
    lines = []
    for title, rooms in _TITLES:
        names = [name for name, home in homes.items() if home.startswith(rooms)]
        if names:
            lines += [title, "-" * len(title), ""]
            lines += [
                _directive(f"pytest_sockets.{name}", getattr(pytest_sockets, name)) for name in sorted(names)
            ]
    missing = [
        name for name, home in homes.items() if not any(home.startswith(rooms) for _, rooms in _TITLES)
    ]
    if missing:
        raise SystemExit(f"no part of the reference is for: {', '.join(missing)}")
    lines += _faults()
    return "\n".join(lines)


def _home(name: str) -> str:
    return pytest_sockets._MODULE_OF[name]


def _directive(path: str, value: object) -> str:
    if inspect.isclass(value):
        kind = "exception" if issubclass(value, BaseException) else "class"
        members = "" if kind == "exception" or issubclass(value, Fault) else "   :members:\n"
        if issubclass(value, Server):
            members += "   :inherited-members:\n"
        return f".. auto{kind}:: {path}\n{members}"
    return f".. auto{'data' if get_origin(value) is Literal else 'function'}:: {path}\n"


def _faults() -> list[str]:
    faults = import_module("pytest_sockets.faults")
    names = [name for name in faults.__all__ if inspect.isclass(getattr(faults, name))]
    return [
        "Faults",
        "------",
        "",
        *(_directive(f"pytest_sockets.faults.{name}", getattr(faults, name)) for name in names),
    ]


def fixture_list() -> str:
    """Return Markdown: each fixture with its scope and its docstring."""
    parts = []
    for module in registration.modules():
        for name, value in vars(module).items():
            marker = getattr(value, "_fixture_function_marker", None)
            if marker is None or name.startswith("_"):
                continue
            text = inspect.cleandoc(value._get_wrapped_function().__doc__ or "")
            if not text:
                raise SystemExit(f"the fixture {name} has no docstring")
            parts.append(f"`{name}` ({marker.scope})\n:{textwrap.indent(text, '  ')[1:]}\n")
    return "\n".join(parts)
