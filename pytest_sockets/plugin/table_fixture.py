"""The fixture `sockets`, and failure texts for assertions about socket tables."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import pytest

from pytest_sockets.plugin.hook_object import HookObject
from pytest_sockets.plugin.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sockets.asserting.view import SocketsView

__all__ = ["pytest_assertrepr_compare", "pytest_collection_finish", "pytest_sessionstart", "sockets"]
"""The only names that pytest inspects, see `HookObject`."""

_KNOWN: Final = pytest.StashKey["frozenset[object]"]()


@pytest.fixture
def sockets(request: pytest.FixtureRequest) -> SocketsView:
    """A view of the socket table: `8080 in sockets.listening`, `sockets.new()`, `sockets.wait_listening(...)`."""
    from pytest_sockets.asserting.view import SocketsView, known_sockets

    settings = request.config.stash[SETTINGS]
    known = request.node.stash.get(_KNOWN, None)
    return SocketsView(known_sockets() if known is None else known, settings.kinds, settings.grace)


class _Baseline(HookObject):
    """Records the open sockets before the first fixture of a test that uses `sockets`."""

    # A wrapper of pluggy's older style adds no frame to the traceback of a test's error.
    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        if "sockets" in getattr(item, "fixturenames", ()):
            from pytest_sockets.asserting.view import known_sockets

            item.stash[_KNOWN] = known_sockets()
        yield


def pytest_collection_finish(session: pytest.Session) -> None:
    """Register the hook only if a test uses the fixture."""
    if any("sockets" in getattr(item, "fixturenames", ()) for item in session.items):
        session.config.pluginmanager.register(_Baseline(), "pytest_sockets.baseline_of_sockets")


@pytest.hookimpl(tryfirst=True)
def pytest_assertrepr_compare(
    config: pytest.Config, op: str, left: object, right: object
) -> list[str] | None:
    """Explain who listens, who listens instead, or who holds the socket."""
    model = sys.modules.get("pytest_sockets.model")
    if model is None or not (isinstance(left, model.SocketTable) or isinstance(right, model.SocketTable)):
        return None
    from pytest_sockets.asserting.failure import explain

    full = config.get_verbosity(pytest.Config.VERBOSITY_ASSERTIONS) >= 2
    return explain(op, left, right, full=full)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Let other xdist workers ask this one for the opener of a socket."""
    if hasattr(session.config, "workerinput"):
        from pytest_sockets.asserting import openers

        openers.start_answering()
        session.config.add_cleanup(openers.stop_answering)


def __dir__() -> list[str]:
    return __all__
