"""Import the plugin's modules without pytest's assertion rewriting.

pytest rewrites every module of a plugin's package, and reads the result byte by byte. These modules contain no
assertions to explain, so they need no rewriting.
"""

from __future__ import annotations

import contextlib
import sys
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.machinery import ModuleSpec


class _OwnModules:
    """Find the modules of this package as the interpreter would."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return None for every other module."""
        return PathFinder.find_spec(name, path, target) if name.startswith("pytest_sockets.") else None


@contextlib.contextmanager
def without_rewriting() -> Iterator[None]:
    """Import this package's modules unchanged inside the `with` block."""
    sys.meta_path.insert(0, _OwnModules)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(_OwnModules)
