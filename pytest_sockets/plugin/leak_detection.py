"""pytest's course of events, told to the ledger: which owner runs, which has ended, and what is then left is judged.

Budget: an empty test may cost a dozen microseconds in all, so the hooks of a passing test that opened nothing are plain
functions but one, and nothing is computed before something is suspicious.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_sockets.asserting.openers import set_opener_lookup
from pytest_sockets.errors import SocketLeakError
from pytest_sockets.leaks import audit, reach
from pytest_sockets.leaks.children import Children
from pytest_sockets.leaks.findings import Owner
from pytest_sockets.leaks.ledger import Ledger
from pytest_sockets.leaks.origins import Places
from pytest_sockets.leaks.records import Scope
from pytest_sockets.plugin.batches import OUTPUT, Batch
from pytest_sockets.plugin.verdicts import Teardown, Verdicts

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from _pytest.fixtures import FixtureDef

    from pytest_sockets.plugin.settings import Settings

_SCOPES: Final = ("function", "class", "module", "package", "session")


class LeakFailure(SocketLeakError, pytest.fail.Exception):  # type: ignore[misc, name-defined]
    """`SocketLeakError` as pytest shows it: the message alone, without a traceback of ours."""

    # Terminal, junit and short summary name the type: the public one, without the way to it, as for pytest's own `Failed`.
    __module__ = "builtins"
    __qualname__ = SocketLeakError.__name__

    def __init__(self, message: str) -> None:
        pytest.fail.Exception.__init__(self, message, pytrace=False)


def _guarded(method: Callable[..., None]) -> Callable[..., None]:
    """Our own trouble never changes a test's outcome: it becomes one line that says what was lost."""

    @functools.wraps(method)
    def guarded(self: LeakDetection, *args: Any) -> None:
        try:
            method(self, *args)
        except Exception as error:  # noqa: BLE001
            self._trouble(method.__name__.strip("_").replace("_", " "), error)

    return guarded


class LeakDetection:
    """The leak detection of one run in one process; registered only where tests run."""

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        take: Callable[[pytest.TestReport], None] | None,
    ) -> None:
        self._config = config
        self._settings = settings
        self._session_owner = Owner("session", "session", "session")
        places = Places(config.rootpath)
        self._children = Children() if settings.scope == "tree" and os.name == "posix" else None
        self.ledger = Ledger(places, self._session_owner, self._children)
        self.verdicts = Verdicts(config, settings, self.ledger, self._children)
        self._take = take
        self._live: dict[FixtureDef[Any], Owner] = {}
        self._imports: list[Owner] = []
        self._outbox: dict[str, Batch] = {}
        self._failed: pytest.Item | None = None
        self._opened_before = 0
        self._nodeid = ""
        self._previous_nodeid = ""
        self._erring: set[Owner] = set()
        """Fixtures that ended in this teardown, which therefore can err for them; others ended in another test's set-up."""

    # -- the session -----------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionstart(self) -> Generator[None, None, None]:
        """What plugins opened until here (xdist's, rerunfailures' own sockets) is not the suite's."""
        yield
        self.start()

    def start(self) -> None:
        """Listen to audit events from now on; what is open now is nobody's."""
        audit.listen(self.ledger)
        self._config.add_cleanup(functools.partial(audit.stop_listening, self.ledger))
        self._begin()
        before = set_opener_lookup(self._opener)

        def restore() -> None:
            set_opener_lookup(before)

        self._config.add_cleanup(restore)

    @_guarded
    def _begin(self) -> None:
        self.ledger.begin()
        self.verdicts.begin()

    def _opener(self, inode: int) -> str | None:
        """What opened this socket and where, for whoever explains who holds a port."""
        self.ledger.settle()
        record = self.ledger.by_inode(inode)
        if record is None:
            return None
        place = record.origin.opened_at(self.ledger.places) if record.origin is not None else None
        return f"{record.opener}, at {place.file}:{place.line}" if place is not None else str(record.opener)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """What a module opens when it is imported is owned by that import."""
        owner = Owner("import", collector.nodeid, "module", collector)
        before = self._enter(Scope(owner, "import"))
        try:
            return (yield)
        finally:
            self._leave(before)
            if self.ledger.owns(owner):
                self._imports.append(owner)

    def _enter(self, scope: Scope) -> Scope:
        before = self.ledger.scope
        try:
            return self.ledger.enter(scope)
        except Exception as error:  # noqa: BLE001
            self.ledger.scope = scope
            self._trouble("entering a scope", error)
            return before

    def _leave(self, before: Scope) -> None:
        try:
            self.ledger.leave(before)
        except Exception as error:  # noqa: BLE001
            self.ledger.scope = before
            self._trouble("leaving a scope", error)

    def _trouble(self, what: str, error: Exception) -> None:
        self.verdicts.trouble(f"{what}: {type(error).__name__}: {error}")

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> Generator[None, object, object]:
        """After the last teardown: judge the session, the imports, and what was put off until now."""
        result = yield
        if exitstatus not in (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR):
            self._finish_session()
        return result

    @_guarded
    def _finish_session(self) -> None:
        self.ledger.checkpoint()
        late = [*self._live.values(), *self._imports, self._session_owner]
        for owner in late:
            self.ledger.end(owner)
        self._live.clear()
        self.verdicts.judge_rest(self._nodeid, self._alive)

    # -- one test --------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """A new owner for each attempt: rerunfailures comes here again for the same item."""
        ledger = self.ledger
        try:
            if ledger.has_fresh:
                ledger.checkpoint()  # opened between two tests, by other plugins
            if self.verdicts.watch is not None:
                self.verdicts.watch.look_again()  # what was imported at collection or by the test before
        except Exception as error:  # noqa: BLE001
            self._trouble("looking between two tests", error)
        self._opened_before = ledger.opened
        self._previous_nodeid, self._nodeid = self._nodeid, item.nodeid
        self._failed = None
        ledger.scope = Scope(Owner("test", item.nodeid, "function", item), "setup")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self) -> None:
        """The phase of what is opened from now on."""
        ledger = self.ledger
        ledger.scope = Scope(ledger.scope.owner, "call")

    def pytest_exception_interact(self, node: object, report: object) -> None:
        """Only called for a failure: the leaks of a failed test are a note, not a second failure."""
        if isinstance(node, pytest.Item) and getattr(report, "when", None) != "teardown":
            self._failed = node

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, None, None]:
        """Outermost: when this goes on, every finalizer has run."""
        ledger = self.ledger
        owner = ledger.scope.owner
        ledger.scope = Scope(owner, "teardown")
        try:
            yield
        except (KeyboardInterrupt, pytest.exit.Exception):
            raise  # the frames of the interrupted test keep its sockets: nothing can be said of them
        except BaseException as error:
            text = self._end_test(item, owner)
            if text:
                _add_note(error, item, text)
            raise
        text = self._end_test(item, owner)
        if text and self._failed is item:
            item.add_report_section("teardown", "sockets", text)
        elif text:
            raise LeakFailure(text)

    def _end_test(self, item: pytest.Item, owner: Owner) -> str:
        """Judge what has ended; the text with which this teardown must fail, or nothing."""
        try:
            ledger = self.ledger
            ledger.checkpoint()
            ledger.end(owner)
            ledger.scope = Scope(self._session_owner, "teardown")
            opened = ledger.opened - self._opened_before
            if not (opened or ledger.eventful or self.verdicts.eventful):
                ledger.acquit()
                return ""
            erring, self._erring = self._erring | {owner}, set()
            batch = self._outbox[item.nodeid] = Batch(opened=opened)
            return self.verdicts.judge_test(Teardown(item, erring, self._previous_nodeid, self._alive), batch)
        except Exception as error:  # noqa: BLE001
            self._trouble(f"judging {item.nodeid}", error)
            return ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Put the plain data on the teardown report before xdist serializes it."""
        if report.when == "teardown" and self._outbox:
            batch = self._outbox.pop(report.nodeid, None)
            if batch is not None:
                try:
                    setattr(report, OUTPUT, batch.as_json())
                    if batch.leaks:
                        from pytest_sockets.plugin import machines

                        machines.tell(self._config, report, batch.leaks)
                except Exception as error:  # noqa: BLE001
                    self._trouble(f"telling what {report.nodeid} left", error)
        if self._take is not None:
            self._take(report)

    # -- fixtures --------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        """The innermost set-up owns what is opened meanwhile; a fixture's dependencies are set up before its own."""
        owner = _owner_of(fixturedef, request)
        if owner is None:
            return (yield)  # whoever runs now goes on; each parameter of a test comes here
        before = self._enter(Scope(owner, "setup"))
        self._live[fixturedef] = owner  # in the order of set-up
        try:
            return (yield)
        finally:
            self._leave(before)

    def pytest_fixture_post_finalizer(self, fixturedef: FixtureDef[Any]) -> None:
        """Older pytest calls this for fixtures that were finished before: those have no result any more."""
        if fixturedef.cached_result is None:
            return
        owner = self._live.pop(fixturedef, None)
        if owner is None:
            return
        ledger = self.ledger
        try:
            if ledger.scope.phase == "teardown":
                ledger.give_teardown_to(owner)
                self._erring.add(owner)
            ledger.end(owner)
        except Exception as error:  # noqa: BLE001
            self._trouble(f"the end of {owner}", error)

    def _alive(self) -> list[tuple[Owner, list[Any]]]:
        """The live fixtures, narrowest scope first, with what each keeps: its value and its suspended generator."""
        live = sorted(self._live.items(), key=lambda pair: _SCOPES.index(pair[1].scope))
        return [(owner, _roots(fixturedef, owner)) for fixturedef, owner in live]


def _owner_of(fixturedef: FixtureDef[Any], request: pytest.FixtureRequest) -> Owner | None:
    """None for what belongs to the test itself: setup_method, setup_function and direct parameters are fixtures, too."""
    name = fixturedef.argname
    if getattr(fixturedef.func, "__name__", "") == "get_direct_param_fixture_func":
        return None
    if not name.startswith(("_xunit_", "_unittest_")):
        return Owner("fixture", name, fixturedef.scope, request.node)
    if fixturedef.scope == "function":
        return None
    return Owner(fixturedef.scope, request.node.nodeid, fixturedef.scope, request.node)


def _roots(fixturedef: FixtureDef[Any], owner: Owner) -> list[Any]:
    result = fixturedef.cached_result
    roots = [
        result[0] if result is not None else None,
        *fixturedef._finalizers,
        *reach.named_globals(fixturedef.func),
    ]
    if owner.kind in ("class", "module"):
        # setup_class and setup_module keep things in the class or module; a teardown of theirs is still to come.
        holder = getattr(owner.context, "obj", None)
        roots.append(dict(vars(holder)) if holder is not None else None)
        if owner.kind == "class":
            roots.extend(dict(vars(base)) for base in getattr(holder, "__mro__", ())[1:-1])
    return roots


def _add_note(error: BaseException, item: pytest.Item, text: str) -> None:
    if hasattr(error, "add_note"):
        error.add_note(text)
    else:
        item.add_report_section("teardown", "sockets", text)
