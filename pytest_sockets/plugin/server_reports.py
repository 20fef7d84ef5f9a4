"""Report the servers of a test: their failures, each once, and their records if the test fails."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import pytest

from pytest_sockets.originals import monotonic
from pytest_sockets.plugin.hook_object import HookObject

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from pytest_sockets.servers.failures import Failure
    from pytest_sockets.servers.server import Server

_SERVERS: Final[pytest.StashKey[list[Server]]] = pytest.StashKey()
"""On an item: the servers of its own fixtures. On the session: those of session fixtures."""
_BEGAN: Final = pytest.StashKey[float]()
_TITLE: Final = "servers of pytest-sockets"
_FAILED: Final = "failures inside servers of pytest-sockets"


def remember_on(node: pytest.Item | pytest.Session) -> Callable[[Server], None]:
    """Count each server, and keep it where the reports of tests look for it. The first one registers the hooks."""
    from pytest_sockets.plugin.counts import counts

    servers = node.stash.setdefault(_SERVERS, [])
    of_session = isinstance(node, pytest.Session)

    def made(server: Server) -> None:
        servers.append(server)
        counts(node.config).servers += 1
        if of_session:  # workers share its tests, and `-k` selects some: no single run uses a whole script
            server.failures.excuse(math.inf, math.inf)
        if not node.config.pluginmanager.has_plugin(ServersShown.__name__):
            failures = ServerFailures()
            node.config.pluginmanager.register(failures, ServerFailures.__name__)
            node.config.pluginmanager.register(ServersShown(failures), ServersShown.__name__)

    return made


class ServerFailures(HookObject):
    """Fails each test for what went wrong inside its servers, once.

    A failure that is known when the test's call ends fails the call, or gets a section on the call's own failure. A later
    one is an error of the teardown: the factories raise it for the test's servers, this hook for those of the session.
    """

    __slots__ = ("text",)

    def __init__(self) -> None:
        self.text = ""
        """The failures for a section on the report that is being made."""

    @pytest.hookimpl
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """Fail the call. Not a wrapper: the exception that pytest's unittest hook sets must win."""
        self.text = ""
        error = None if call.excinfo is None else call.excinfo.value
        if isinstance(error, pytest.skip.Exception) or (error is None and call.when == "setup"):
            return  # the call or the teardown reports it
        began = item.stash.get(_BEGAN, 0.0)
        lives = [(server, 0.0, math.inf) for server in item.stash.get(_SERVERS, ())]
        lives += [(server, began, monotonic()) for server in item.session.stash.get(_SERVERS, ())]
        failures = [one for server, since, _ in lives for one in server.failures.unreported(since)]
        for failure in failures:
            failure.reported = True
        if error is not None:
            for server, first, last in lives:
                server.failures.excuse(first, last)
            self.text = "\n".join(_described(one) for one in failures if not _is_in(one.error, error))
        elif failures:
            call.excinfo = _raised(failures, began)


class ServersShown(HookObject):
    """Shows the servers of a failing test. Registered with the first server, so that other runs have no hook here."""

    __slots__ = ("_failures",)

    def __init__(self, failures: ServerFailures) -> None:
        self._failures = failures

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Remember when the test began: only later events of a session's server belong to it.

        A test that is run again has none of the servers of its first run.
        """
        item.stash[_BEGAN] = monotonic()
        item.stash[_SERVERS] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Show up to five connections of each server of a failing test, and the end of their transcripts."""
        report = yield
        if report.failed:
            from pytest_sockets.plugin.report_sections import add_section

            text = "\n".join(_shown(item)) if report.when != "teardown" else ""
            for title, content in ((_FAILED, self._failures.text), (_TITLE, text)):
                if content:
                    add_section(report, title, content)
        return report


def _raised(failures: list[Failure], began: float) -> pytest.ExceptionInfo[BaseException]:
    __tracebackhide__ = True
    from pytest_sockets.servers.failures import combined

    error = combined(failures)
    assert error is not None
    if failures[0].accepted_at < began:
        error.add_note("the connection was accepted before this test began, during an earlier one")
    try:
        raise error.with_traceback(None)
    except type(error):
        return pytest.ExceptionInfo.from_current()


def _described(failure: Failure) -> str:
    import traceback

    cause = failure.error.__cause__
    lines = [str(failure.error)]
    if cause is not None:
        lines += "".join(traceback.format_exception(cause)).rstrip().splitlines()
    return "\n".join(lines)


def _is_in(error: BaseException, whole: BaseException) -> bool:
    """Whether the failure of a phase is this error, or was raised while it was handled."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [whole]
    while waiting:
        one = waiting.pop()
        if one is error:
            return True
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            waiting += [one.__cause__, one.__context__]
            waiting += one.exceptions if isinstance(one, BaseExceptionGroup) else ()
    return False


def _shown(item: pytest.Item) -> Iterator[str]:
    began = item.stash.get(_BEGAN, 0.0)
    for server in item.stash.get(_SERVERS, ()):
        yield f"{server}\n{server.summary()}"
    for server in item.session.stash.get(_SERVERS, ()):
        if any(record.accepted_at >= began for record in server.connections) or any(
            record.received_at >= began for record in server.datagrams
        ):
            yield f"{server} (of the session; since this test began)\n{server.summary(since=began)}"


def __dir__() -> list[str]:
    return []
