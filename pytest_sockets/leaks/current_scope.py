"""The owner and phase whose code runs now. The plugin marks starts and ends; events read it in any thread."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from pytest_sockets.leaks.owner import Owner, Scope

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import CodeType


class CurrentScope:
    """The innermost running set-up or import, else the test, else the session."""

    def __init__(self, session: Owner) -> None:
        self._session = session
        self._home = threading.get_ident()
        self._entered: Scope | None = None
        self._test: Any = None
        self._name = ""
        self._phase = "setup"
        self._made: tuple[dict[str, Owner], dict[str, Scope]] = {}, {}
        """The owner of the running test by its name, and its scopes by phase. Both are made on demand, since most tests open
        nothing. The first thread that asks makes the owner, atomically through the dictionary. Each test has a pair of its
        own, since another thread may still be about to fill that of the previous test."""
        self._finish: CodeType | None = None
        self._finishing: Mapping[Any, Owner] = {}

    def begin_test(self, name: str, test: object) -> None:
        """Mark the start of a test's set-up, or of its next attempt."""
        self._test, self._name, self._phase = test, name, "setup"

    def go_on(self, phase: str) -> None:
        """Mark the start of the test's "call" or "teardown"."""
        self._phase = phase

    def end_test(self) -> None:
        """Mark the end of a test. Sockets opened before the next test belong to the session."""
        self._test, self._phase, self._entered = None, "teardown", None
        if self._made[0]:
            self._made = {}, {}

    @property
    def test_owner(self) -> Owner | None:
        """Return the owner of the running test; None if nothing has needed an owner yet."""
        return self._made[0].get(self._name)

    def find_finalizers(self, code: CodeType, owners: Mapping[Any, Owner]) -> None:
        """Set how finalizers are recognized: while `code` runs in a teardown, its variable `self` is a key of `owners`."""
        self._finish, self._finishing = code, owners

    @property
    def entered(self) -> Scope | None:
        """The running set-up or import."""
        return self._entered

    def enter(self, scope: Scope | None) -> Scope | None:
        """Set the scope that runs within the test. Return the previous one."""
        before, self._entered = self._entered, scope
        return before

    def get(self) -> Scope:
        """Return the scope that runs now."""
        entered = self._entered
        if entered is not None:
            return entered
        phase = self._phase
        if phase == "teardown" and self._test is not None:
            owner = self._finalized()
            if owner is not None:
                return Scope(owner, phase)
        return self._made[1].get(phase) or self._of_test(phase)

    def _of_test(self, phase: str) -> Scope:
        (owners, scopes), name, test = self._made, self._name, self._test
        if test is None:
            return Scope(self._session, phase)
        owner = owners.get(name) or owners.setdefault(name, Owner("test", name, "function", test))
        scope = scopes[phase] = Scope(owner, phase)
        return scope

    def _finalized(self) -> Owner | None:
        """Return the fixture being torn down; None in the test's own teardown. No event reports the start of that."""
        on_test_thread = threading.get_ident() == self._home
        frame = sys._getframe() if on_test_thread else sys._current_frames().get(self._home)
        while frame is not None:
            if frame.f_code is self._finish:
                return self._finishing.get(frame.f_locals["self"])
            frame = frame.f_back
        return None
