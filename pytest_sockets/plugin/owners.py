"""Which owner a set-up of pytest's is: a fixture, or the class or module whose set-up functions pytest runs as fixtures."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.leaks.owner import Owner

if TYPE_CHECKING:
    import pytest
    from _pytest.fixtures import FixtureDef

_LONGEST_PARAMETER: Final = 60


def owner_of(fixturedef: FixtureDef[Any], request: pytest.FixtureRequest) -> Owner | None:
    """None for what belongs to the test itself: setup_method, setup_function and direct parameters are fixtures, too."""
    name = fixturedef.argname
    if getattr(fixturedef.func, "__name__", "") == "get_direct_param_fixture_func":
        return None
    if not name.startswith(("_xunit_", "_unittest_")):
        owner = Owner("fixture", name, fixturedef.scope, request.node)
        owner.definition = fixturedef.func
        if "param" in vars(request):
            owner.parameter = _in_words(request.param, request.param_index)  # type: ignore[attr-defined]
        return owner
    if fixturedef.scope == "function":
        return None
    return Owner(fixturedef.scope, request.node.nodeid, fixturedef.scope, request.node)


def _in_words(parameter: object, index: int) -> str:
    """Without the `__repr__` of suites' own classes, which may do anything."""
    if isinstance(parameter, (type, types.FunctionType)):
        return parameter.__qualname__
    if type(parameter) in (str, bytes):
        return repr(parameter[:_LONGEST_PARAMETER])  # type: ignore[index]
    if parameter is None or type(parameter) in (bool, int, float):
        return repr(parameter)
    return f"number {index + 1}, a {type(parameter).__qualname__}"
