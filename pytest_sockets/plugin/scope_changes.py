"""Change the current scope; an error of this plugin's own is recorded, and the scope changes all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_sockets.leaks.owner import Scope
    from pytest_sockets.leaks.registry import Registry
    from pytest_sockets.plugin.internal_errors import InternalErrors


class ScopeChanges:
    """What hooks use to say whose code runs."""

    def __init__(self, registry: Registry, errors: InternalErrors) -> None:
        self._registry = registry
        self._errors = errors

    def enter(self, scope: Scope, *, look: bool) -> Scope | None:
        """Enter `scope`. Return the scope that it interrupts, for `leave`. For `look`, see `Registry.enter`."""
        try:
            return self._registry.enter(scope, look=look)
        except BaseException as error:  # noqa: BLE001
            self._registry.current.enter(scope)
            self._errors.record("entering a scope", error)
            return None

    def leave(self, before: Scope | None) -> None:
        """Continue with the scope that `enter` interrupted."""
        try:
            self._registry.leave(before)
        except BaseException as error:  # noqa: BLE001
            self._registry.current.enter(before)
            self._errors.record("leaving a scope", error)
