"""Who may still close what is left, and what each of them keeps: live fixtures, nodes' finalizers, hooks and clean-ups."""

from __future__ import annotations

import functools
import types
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_sockets.leaks.owner import NEVER_OVER
from pytest_sockets.leaks.safe_reading import attributes, is_a, slot
from pytest_sockets.leaks.teardown_analysis import put_by, touched_by

if TYPE_CHECKING:
    from _pytest.fixtures import FixtureDef

    from pytest_sockets.leaks.owner import Owner
    from pytest_sockets.leaks.registry import Registry

_SCOPES: Final = ("function", "class", "module", "package", "session")


class LiveObjects:
    """The owners that are not over. Made when something is left."""

    def __init__(self, config: pytest.Config, session: Any, ledger: Registry) -> None:
        self._config = config
        self._session = session
        self._ledger = ledger

    def alive(self, fixtures: dict[FixtureDef[Any], Owner]) -> list[tuple[Owner, list[Any]]]:
        """The live fixtures, narrowest scope first, with what each keeps: its value and its suspended generator."""
        live = sorted(fixtures.items(), key=lambda pair: _SCOPES.index(pair[1].scope))
        alive = [(owner, kept_by(fixturedef, owner)) for fixturedef, owner in live]
        if not self._ledger.session.over:
            # What suites put there (`request.session.pool`) is theirs; pytest's own objects are not searched.
            roots = [
                _attributes(self._session),
                _attributes(self._config),
                *self._finalizers_of_nodes(),
                *self._closed_by_hooks("pytest_sessionfinish", "pytest_unconfigure"),
            ]
            alive.append((self._ledger.session, roots))
        else:
            # Still to come, and after it nothing can be said any more.
            alive.append((NEVER_OVER, self._closed_by_hooks("pytest_unconfigure")))
        return alive

    def _closed_by_hooks(self, *names: str) -> list[Any]:
        """What these hooks of conftest.py will close, and the clean-ups that it has registered with the configuration."""
        known = {"session": self._session, "config": self._config}
        hooks = [impl for name in names for impl in getattr(self._config.hook, name).get_hookimpls()]
        calls: list[Any] = [
            functools.partial(impl.function, *(known.get(name) for name in impl.argnames))
            for impl in hooks
            if self._ledger.places.is_users(impl.function.__code__.co_filename)
        ]
        return touched_by([*calls, self._config._cleanup_stack.close])

    def _finalizers_of_nodes(self) -> list[Any]:
        """What suites have registered with a class, module or the session itself: `request.session.addfinalizer(close)`."""
        users = [
            finalizer
            for finalizers, _ in self._session._setupstate.stack.values()
            for finalizer in finalizers
            if not _is_pytests(finalizer)
        ]
        return [*users, *touched_by(users)]


def kept_by(fixturedef: FixtureDef[Any], owner: Owner) -> list[Any]:
    """Its value, and what its teardown will close. When that has run, pytest has forgotten it, not yet the value."""
    result = fixturedef.cached_result
    finalizers = fixturedef._finalizers
    roots = [result[0] if result is not None else None, *finalizers, *touched_by(finalizers)]
    if owner.kind in ("class", "module") and (holder := getattr(owner.context, "obj", None)) is not None:
        roots += put_by(fixturedef.func, holder)
    return roots


def _is_pytests(finalizer: Any) -> bool:
    """The end of a fixture, as a method or a partial of one, or of a node."""
    method = finalizer.func if is_a(finalizer, functools.partial) else finalizer
    owner = method.__self__ if type(method) is types.MethodType else None
    return is_a(owner, pytest.FixtureDef, pytest.Item, pytest.Collector)


def _attributes(holder: object) -> list[Any]:
    """Copied, and the values of its stash, where the search would stop."""
    own = attributes(holder)
    storage = slot(own.get("stash"), "_storage")  # pytest's Stash has no instance dictionary
    return [*own.values(), *(storage.values() if type(storage) is dict else ())]
