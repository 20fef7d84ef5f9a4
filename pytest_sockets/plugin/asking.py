"""The fixture `sockets`, and failure texts for assertions about socket tables."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Final

import pytest

from pytest_sockets.plugin.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_sockets.asserting.view import SocketsView

_KNOWN: Final = pytest.StashKey["frozenset[object]"]()


@pytest.fixture
def sockets(request: pytest.FixtureRequest) -> SocketsView:
    """Ask the socket table: `8080 in sockets.listening`, `sockets.new("ESTABLISHED")`, `sockets.wait_listening(...)`."""
    from pytest_sockets.asserting.view import SocketsView, known_sockets

    settings = request.config.stash[SETTINGS]
    known = request.node.stash.get(_KNOWN, None)
    return SocketsView(known_sockets() if known is None else known, settings.kinds, settings.grace)


class _Baseline:
    """Takes the baseline before the first fixture of a test that uses `sockets`."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        if "sockets" in getattr(item, "fixturenames", ()):
            from pytest_sockets.asserting.view import known_sockets

            item.stash[_KNOWN] = known_sockets()
        return (yield)


def pytest_collection_finish(session: pytest.Session) -> None:
    """A run in which nothing uses the fixture pays for no hook."""
    if any("sockets" in getattr(item, "fixturenames", ()) for item in session.items):
        session.config.pluginmanager.register(_Baseline(), "pytest_sockets.baseline_of_sockets")


@pytest.hookimpl(tryfirst=True)
def pytest_assertrepr_compare(
    config: pytest.Config, op: str, left: object, right: object
) -> list[str] | None:
    """Who listens, who listens instead, or who holds it."""
    model = sys.modules.get("pytest_sockets.model")
    if model is None or not (isinstance(left, model.SocketTable) or isinstance(right, model.SocketTable)):
        return None
    from pytest_sockets.asserting.failure import explain

    full = config.get_verbosity(pytest.Config.VERBOSITY_ASSERTIONS) >= 2
    return explain(op, left, right, full=full)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Let failure texts name the test that opened a socket; an xdist worker tells the others of its own."""
    config = session.config
    from pytest_sockets.asserting import openers

    before = openers.set_opener_lookup(functools.partial(_opener, config))
    config.add_cleanup(functools.partial(_forget, before))
    if hasattr(config, "workerinput"):
        openers.start_answering()
        config.add_cleanup(openers.stop_answering)


def _forget(before: Callable[[int], str | None] | None) -> None:
    from pytest_sockets.asserting import openers

    openers.set_opener_lookup(before)


def _opener(config: pytest.Config, inode: int) -> str | None:
    """Asked in the answering thread too: reads the ledger only."""
    for plugin in config.pluginmanager.get_plugins():
        ledger = getattr(plugin, "ledger", None)
        if ledger is None or not hasattr(ledger, "by_inode"):
            continue
        ledger.settle()
        record = ledger.by_inode(inode)
        if record is not None:
            frame = record.origin.opened_at(ledger.places) if record.origin else None
            return f"{record.opener} at {frame}" if frame else str(record.opener)
    return None
