"""The base class of objects whose hooks pytest calls."""

from __future__ import annotations


class HookObject:
    """An object of hooks.

    pytest inspects each name in the dir() of a plugin, for hooks and again for fixtures. This class and the modules'
    `__all__` show only hooks and fixtures: see docs/explanation/fast-paths.md.
    """

    __slots__ = ()

    def __dir__(self) -> list[str]:
        return [name for name in vars(type(self)) if name.startswith("pytest_")]
