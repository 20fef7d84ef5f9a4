"""Which test modules and conftest.py files have opened anything when they were imported?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_sockets.leaks.owner import Owner, Scope
from pytest_sockets.plugin.hook_object import HookObject

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_sockets.leaks.registry import Registry
    from pytest_sockets.plugin.scope_changes import ScopeChanges


class ImportHooks(HookObject):
    """Makes each import the owner of what it opens."""

    def __init__(self, registry: Registry, scopes: ScopeChanges) -> None:
        self._registry = registry
        self._scopes = scopes
        self._owners: list[Owner] = []
        """The imports that have opened anything."""
        self._used: set[object] = set()
        """The nodes around the tests that ran; noted only if an import has opened anything."""

    # A wrapper of pluggy's older kind: see LeakDetection.
    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Generator[None, object, None]:
        """Give what a module opens when it is imported to that import."""
        name = collector.nodeid
        if isinstance(collector, pytest.File):
            self._registry.places.collected(str(collector.path))
        if isinstance(collector, pytest.Directory) and (collector.path / "conftest.py").is_file():
            name = f"{name}/conftest.py"
        owner = Owner("import", name, "module", collector)
        before = self._scopes.enter(Scope(owner, "import"), look=False)
        yield
        self._scopes.leave(before)
        if self._registry.owns(owner):
            self._owners.append(owner)

    def note_ran(self, item: pytest.Item) -> None:
        """Note that a test has run."""
        if self._owners:
            self._used.update(item.listchain())

    def used(self) -> list[Owner]:
        """Return the imports that opened something and of which a test has run.

        With xdist, -k or --lf a module is imported of which no test runs here, nor the teardown that would close.
        """
        return [owner for owner in self._owners if owner.context in self._used]
