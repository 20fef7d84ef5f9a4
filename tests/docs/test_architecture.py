"""The architecture page names functions that exist."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "contributing" / "architecture.md"
STEPS = re.findall(r"^\d+\. `([\w.]+)`", PAGE.read_text(encoding="utf-8"), flags=re.M)


def resolve(path: str) -> object:
    """Return the object with this dotted name: a module, then its attributes."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for name in parts[length:]:
            found = getattr(found, name)
        return found
    raise ModuleNotFoundError(path)


@pytest.mark.parametrize("step", STEPS)
def test_each_step_of_a_sockets_way_exists(step):
    assert callable(resolve(step))


def test_the_way_is_short():
    assert 8 <= len(STEPS) <= 12


def test_a_function_that_is_gone_is_noticed():
    with pytest.raises(AttributeError):
        resolve("pytest_sockets.leaks.watcher.gone")
