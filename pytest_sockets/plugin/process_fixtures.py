"""The fixtures of server processes, and their output in the report of a failing test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from pytest_sockets.plugin.hook_object import HookObject

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from pytest_sockets.processes.factory import ServerProcessFactory
    from pytest_sockets.processes.server_process import ServerProcess

__all__ = ["server_process_factory", "session_server_process_factory"]
"""The only names that pytest inspects, see `HookObject`."""

_SERVERS: Final[pytest.StashKey[list[ServerProcess]]] = pytest.StashKey()
"""On an item: the servers of its own fixtures. On the session: those of session fixtures."""
_BEGAN: Final[pytest.StashKey[dict[int, int]]] = pytest.StashKey()
"""On an item: how much each session server had written when the test began."""
_TITLE: Final = "server processes of pytest-sockets"


def _remember_on(node: pytest.Item | pytest.Session) -> Callable[[ServerProcess], None]:
    """Count each server, and keep it for the report of a failing test. The first one registers those hooks."""
    from pytest_sockets.plugin.counts import counts

    servers = node.stash.setdefault(_SERVERS, [])

    def made(server: ServerProcess) -> None:
        servers.append(server)
        counts(node.config).servers += 1
        if not node.config.pluginmanager.has_plugin(ProcessesShown.__name__):
            node.config.pluginmanager.register(ProcessesShown(), ProcessesShown.__name__)

    return made


def _factory(node: pytest.Item | pytest.Session) -> ServerProcessFactory:
    from pytest_sockets.plugin import shared_processes
    from pytest_sockets.plugin.port_fixtures import port_pool
    from pytest_sockets.processes.factory import ServerProcessFactory

    config = node.config
    of_session = isinstance(node, pytest.Session)
    shared = shared_processes.of_run(config) if of_session else None
    watch = shared_processes.controller(config)
    return ServerProcessFactory(port_pool(config), _remember_on(node), shared, watch, may_share=of_session)


def _close(factory: ServerProcessFactory) -> None:
    from pytest_sockets.errors import ProcessDied

    try:
        factory.close()
    except ProcessDied as death:
        text = str(death)
    else:
        return
    pytest.fail(text, pytrace=False)


@pytest.fixture
def server_process_factory(request: pytest.FixtureRequest) -> Iterator[ServerProcessFactory]:
    """Starts server processes for this test: `factory(["redis-server", "--port", "{port}"])`; stopped after it."""
    factory = _factory(request.node)
    yield factory
    _close(factory)


@pytest.fixture(scope="session")
def session_server_process_factory(request: pytest.FixtureRequest) -> Iterator[ServerProcessFactory]:
    """Starts server processes that run until the session ends; `shared=True`: one process for all xdist workers."""
    factory = _factory(request.session)
    yield factory
    _close(factory)


class ProcessesShown(HookObject):
    """Shows server processes of a failing test. Registered with the first one, so that other runs have no hook here."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Remember the amount of output: only later output of a session's server belongs to the test."""
        servers = item.session.stash.get(_SERVERS, ())
        item.stash[_BEGAN] = {id(server): server.output_size for server in servers}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Show the end of each server's output during a failing test, and which servers have ended."""
        report = yield
        if report.failed and report.when != "teardown":
            text = "\n".join(_shown(item))
            if text:
                from pytest_sockets.plugin.report_sections import add_section

                add_section(report, _TITLE, text)
        return report


def _shown(item: pytest.Item) -> Iterator[str]:
    began = item.stash.get(_BEGAN, {})
    for server in (*item.stash.get(_SERVERS, ()), *item.session.stash.get(_SERVERS, ())):
        of_session = id(server) in began
        lines = server.last_output(began.get(id(server), 0))
        if server.has_died:
            yield f"{server} {server.ending} before it was stopped"
        if lines:
            yield f"{server} wrote{' during this test' if of_session else ''}:"
            yield from (f"  {line}" for line in lines)


def __dir__() -> list[str]:
    return __all__
