"""Where an owner is defined: the fixture's function, the test's or the class's first line, the module's file."""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_sockets.leaks.owner import Owner


class Place(NamedTuple):
    """A file, relative to rootdir where it lies below it, and a line."""

    file: str | None = None
    line: int | None = None


def place_of(owner: Owner, rootdir: Path) -> Place:
    """The place of `owner`; without a file if it has none, as the session."""
    if owner.kind == "fixture":
        return place_of_function(owner.definition, rootdir)
    node = owner.context
    if isinstance(node, pytest.Item):
        file, line, _ = node.location
        return Place(file.replace(os.sep, "/"), None if line is None else line + 1)
    if isinstance(node, pytest.Collector) and owner.kind in ("class", "module", "import"):
        file = owner.name.partition("::")[0]
        return Place(file or None, _line_of_class(node) if isinstance(node, pytest.Class) else None)
    return Place()


def place_of_function(function: object, rootdir: Path) -> Place:
    """The place of a fixture's function, without the wrappers of its decorators."""
    function = getattr(inspect.unwrap(function), "__func__", function) if callable(function) else function
    code: Any = getattr(inspect.unwrap(function) if callable(function) else function, "__code__", None)
    if code is None:
        return Place()
    file = code.co_filename
    root = f"{rootdir}{os.sep}"
    if file.startswith(root):
        file = file[len(root) :]
    return Place(file.replace(os.sep, "/"), code.co_firstlineno)


def _line_of_class(node: pytest.Class) -> int | None:
    try:
        return inspect.getsourcelines(node.obj)[1]
    except (OSError, TypeError):
        return None
