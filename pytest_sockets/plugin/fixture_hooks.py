"""Whose set-up and teardown runs: which fixtures are alive, and which have ended in this teardown?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_sockets.leaks.outside import without_own_frames
from pytest_sockets.leaks.owner import Owner, Scope
from pytest_sockets.plugin.hook_object import HookObject
from pytest_sockets.plugin.owners import owner_of

if TYPE_CHECKING:
    from collections.abc import Generator

    import pluggy
    from _pytest.fixtures import FixtureDef

    from pytest_sockets.leaks.registry import Registry
    from pytest_sockets.plugin.internal_errors import InternalErrors
    from pytest_sockets.plugin.scope_changes import ScopeChanges
    from pytest_sockets.plugin.unraisable import Unraisable


class FixtureHooks(HookObject):
    """Follows the life of each fixture."""

    def __init__(
        self, registry: Registry, scopes: ScopeChanges, errors: InternalErrors, unraisable: Unraisable
    ) -> None:
        self._registry = registry
        self._scopes = scopes
        self._errors = errors
        self._unraisable = unraisable
        self.session: Any = None
        """pytest's session, which knows what is set up."""
        self.item: pytest.Item | None = None
        """The test that is set up and not yet torn down."""
        self.live: dict[FixtureDef[Any], Owner] = {}
        """The fixtures that are set up, in that order."""
        self.ended: set[Owner] = set()
        """The fixtures that ended in this teardown, which can fail for them; others ended in another test's set-up."""

    # A wrapper of pluggy's older kind: see LeakDetection.
    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, pluggy.Result[object], None]:
        """Give what is opened meanwhile to the innermost set-up; a fixture's dependencies are set up before its own."""
        owner = owner_of(fixturedef, request)
        if owner is None:
            yield  # the current owner goes on; each parameter of a test comes here
            return
        # For a fixture that is requested in the call, the test's own code ran until now and may have opened something.
        before = self._scopes.enter(Scope(owner, "setup"), look=self.item is not None)
        self.live[fixturedef] = owner
        outcome = yield
        owner.raised = outcome.excinfo is not None
        try:
            self._scopes.leave(before)
        except BaseException as error:  # noqa: BLE001  (raised here, pluggy would warn, too)
            outcome.force_exception(without_own_frames(error))

    def pytest_fixture_post_finalizer(self, fixturedef: FixtureDef[Any]) -> None:
        """End the fixture. Older pytest calls this also for fixtures that ended before: those have no result any more."""
        if fixturedef.cached_result is None:
            return
        owner = self.live.pop(fixturedef, None)
        if owner is None:
            return
        try:
            if self._tears_down:
                if owner.scope != "function":
                    with self._unraisable.kept():
                        self._hand_over(fixturedef, owner)
                self.ended.add(owner)
            self._registry.end(owner)
        except BaseException as error:  # noqa: BLE001
            self._errors.record(f"the end of {owner}", error)

    @property
    def _tears_down(self) -> bool:
        """Whether finalizers of a test run: it is taken from the stack before them."""
        return self.item is not None and self.item not in self.session._setupstate.stack

    def _hand_over(self, fixturedef: FixtureDef[Any], owner: Owner) -> None:
        """Give a wider fixture what it still keeps after its teardown, also in the last test that uses it.

        After an earlier test it would be found with the live fixtures; whose a leak is must not hang on the tests' order.
        """
        left = self._registry.left_open(
            owner for owner in (self._registry.current.test_owner, *self.ended) if owner is not None
        )
        if left:
            from pytest_sockets.leaks import reachability, teardown_analysis
            from pytest_sockets.plugin.live_objects import kept_by

            roots = kept_by(fixturedef, owner) + teardown_analysis.named_by_teardown(fixturedef.func)
            for record in reachability.keepers(left, [(owner, roots)]):
                self._registry.reassign(record, owner)
