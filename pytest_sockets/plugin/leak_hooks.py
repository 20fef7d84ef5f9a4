"""pytest's course of events, told to the ledger: which owner runs, which has ended, and what is then left is judged.

Budget: an empty test may cost a dozen microseconds in all, so the hooks of a passing test that opened nothing are plain
functions, and nothing is computed, or imported, before something is suspicious.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_sockets import lookups
from pytest_sockets.errors import SocketLeakError
from pytest_sockets.leaks import audit
from pytest_sockets.leaks.call_site import Places
from pytest_sockets.leaks.children import Children
from pytest_sockets.leaks.outside import comes_from_outside, without_own_frames
from pytest_sockets.leaks.records import Owner, Scope
from pytest_sockets.leaks.registry import Ledger
from pytest_sockets.plugin import address_in_use, failure_sections
from pytest_sockets.plugin.hook_object import Part
from pytest_sockets.plugin.owners import owner_of
from pytest_sockets.plugin.reporting import wants_timeline
from pytest_sockets.plugin.unraisable import Unraisable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from types import FrameType

    import pluggy
    from _pytest.fixtures import FixtureDef

    from pytest_sockets.leaks.findings import Finding
    from pytest_sockets.plugin.leak_evaluation import LeakEvaluation
    from pytest_sockets.plugin.payload import Payload
    from pytest_sockets.plugin.report_attachments import ReportAttachments
    from pytest_sockets.plugin.settings import Settings

_MOST_TROUBLES: Final = 5
_FINISH: Final = pytest.FixtureDef.finish.__code__


class LeakFailure(SocketLeakError, pytest.fail.Exception):  # type: ignore[misc, name-defined]
    """`SocketLeakError` as pytest shows it: the message alone, without this plugin's traceback."""

    # Terminal, junit and short summary name the type: the public one, without the way to it, as for pytest's own `Failed`.
    __module__ = "builtins"
    __qualname__ = SocketLeakError.__name__

    def __init__(self, message: str) -> None:
        pytest.fail.Exception.__init__(self, message, pytrace=False)


def _guarded(method: Callable[..., None]) -> Callable[..., None]:
    """An error of this plugin never changes a test's outcome: one line says what was lost."""

    @functools.wraps(method)
    def guarded(self: LeakDetection, *args: Any) -> None:
        try:
            method(self, *args)
        except BaseException as error:  # noqa: BLE001
            self._trouble(method.__name__.strip("_").replace("_", " "), error)

    return guarded


class LeakDetection(Part):
    """The leak detection of one run in one process; registered only where tests run."""

    # pytest looks at the `__dict__` of what is registered. From then on Python 3.12 looks up each attribute in the classes,
    # too, with mostly cold caches: counted without the collector, 19 k of the 58 k instructions of an empty test.
    __slots__ = (
        "_children",
        "_config",
        "_erring",
        "_failed",
        "_home",
        "_imports",
        "_item",
        "_live",
        "_made_outbox",
        "_opened_before",
        "_previous",
        "_raising",
        "_session",
        "_session_owner",
        "_settings",
        "_take",
        "_tests",
        "_told",
        "_troubles",
        "_unraisable",
        "_used",
        "_verdicts",
        "_watch",
        "ledger",
    )  # fmt: skip

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
        self._children = Children(settings.kinds) if settings.scope == "tree" and os.name == "posix" else None
        self.ledger = Ledger(places, self._session_owner, self._children)
        self.ledger.who_runs = self._who_runs
        self.ledger.on_error = self._trouble
        self._verdicts: LeakEvaluation | None = None
        self._watch: Any = None
        self._troubles: list[str] = []
        self._take = take
        self._unraisable = Unraisable()
        self._made_outbox: ReportAttachments | None = None
        self._live: dict[FixtureDef[Any], Owner] = {}
        self._imports: list[Owner] = []
        self._used: set[object] = set()
        """What the tests that ran are in, if an import has opened anything."""
        self._item: pytest.Item | None = None
        """Set up and not yet torn down."""
        self._session: Any = None
        self._home = threading.get_ident()
        self._tests: dict[pytest.Item, Owner] = {}
        """The owner of the test that runs, once it has done something, which most never do. A dictionary, since whichever
        thread is the first must make it for all."""
        self._previous: pytest.Item | None = None
        self._failed: pytest.Item | None = None
        self._raising: pytest.Item | None = None
        """Its set-up or call raised, as a failure or as an expected one."""
        self._opened_before = self._told = 0
        self._erring: set[Owner] = set()
        """Fixtures that ended in this teardown, which therefore can err for them; others ended in another test's set-up."""

    # -- the session -----------------------------------------------------------------------------------------

    # These wrappers are pluggy's older kind on purpose: an error of the user's code does not pass through their frames, so
    # that no `--tb` style shows them.

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_sessionstart(self) -> Generator[None, object, None]:
        """What is open by now, and what plugins open here (xdist's, rerunfailures' own sockets), is not the suite's."""
        self.start()
        yield
        self._begun()

    def start(self) -> None:
        """Listen to audit events from now on; what is open now has no owner."""
        audit.listen(self.ledger, from_the_first=True)
        self._config.add_cleanup(functools.partial(audit.stop_listening, self.ledger))
        self._begin()
        before, lookups.socket_opener = lookups.socket_opener, self._opener
        self._config.add_cleanup(functools.partial(setattr, lookups, "socket_opener", before))

    @_guarded
    def _begin(self) -> None:
        self._session = self._config.pluginmanager.get_plugin("session")
        self.ledger.begin()
        self._config.add_cleanup(self.ledger.fds.close)
        settings = self._settings
        if settings.counts_every_test:
            self._outbox()
        if settings.unclosed != "off" or settings.baseline is not None or wants_timeline(settings):
            verdicts = self._judging()
            verdicts.begin(lives=wants_timeline(settings))
            self._watch = verdicts.watch

    @_guarded
    def _begun(self) -> None:
        """Plugins have started their own, and conftest.py the suite's."""
        self.ledger.checkpoint()
        if self._children is not None:
            self._children.keep_the_users()

    def _judging(self) -> LeakEvaluation:
        """What judges, imported when it is needed first."""
        if self._verdicts is None:
            from pytest_sockets.plugin.leak_evaluation import LeakEvaluation

            self._verdicts = LeakEvaluation(self._config, self._settings, self.ledger, self._children)
        return self._verdicts

    def _outbox(self) -> ReportAttachments:
        if self._made_outbox is None:
            from pytest_sockets.plugin.report_attachments import ReportAttachments

            stays = self._settings.counts_every_test
            self._made_outbox = ReportAttachments(
                self._config,
                self._trouble,
                self._take,
                self._unraisable,
                self.ledger.fds.spare,
                stays=stays,
            )
        return self._made_outbox

    @property
    def _eventful(self) -> bool:
        """Whether an owner that has ended, or a child of one, may have left something."""
        return (
            self.ledger.eventful
            or self.ledger.timeline is not None
            or (self._children is not None and self._children.any_left)
            or (self._verdicts is not None and self._verdicts.eventful)
        )

    def finish(self) -> Payload | None:
        """What is left to tell when the process ends; None if it is nothing."""
        self._unraisable.tell()
        untold = self.ledger.opened - self._told
        if self._verdicts is None and not (untold or self._troubles or self._settings.ignore):
            return None
        batch = self._judging().finish(untold)
        batch.troubles.extend(self._troubles)
        return batch

    def _opener(self, inode: int) -> str | None:
        """What opened this socket and where, for the explanation of who holds a port."""
        self.ledger.settle()
        record = self.ledger.by_inode(inode)
        if record is None:
            return None
        place = record.origin.opened_at(self.ledger.places) if record.origin is not None else None
        return f"{record.opener}, at {place.file}:{place.line}" if place is not None else str(record.opener)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Generator[None, object, None]:
        """What a module opens when it is imported is owned by that import."""
        name = collector.nodeid
        if isinstance(collector, pytest.File):
            self.ledger.places.collected(str(collector.path))
        if isinstance(collector, pytest.Directory) and (collector.path / "conftest.py").is_file():
            name = f"{name}/conftest.py"
        owner = Owner("import", name, "module", collector)
        before = self._enter(Scope(owner, "import"))
        yield
        self._leave(before)
        if self.ledger.owns(owner):
            self._imports.append(owner)

    def _enter(self, scope: Scope) -> Scope | None:
        try:
            # What a test's set-up opens outside of fixtures, the fixture that comes next is not charged with: nobody looks.
            return self.ledger.enter(scope, look=self._item is not None)
        except BaseException as error:  # noqa: BLE001
            self.ledger.scope = scope
            self._trouble("entering a scope", error)
            return None

    def _leave(self, before: Scope | None) -> None:
        try:
            self.ledger.leave(before)
        except BaseException as error:  # noqa: BLE001
            self.ledger.scope = before
            self._trouble("leaving a scope", error)

    def _trouble(self, what: str, error: BaseException) -> None:
        """Record an error of this plugin; raise what came from outside."""
        if comes_from_outside(error):
            raise without_own_frames(error)
        text = f"{what}: {type(error).__name__}: {error}"
        if len(self._troubles) < _MOST_TROUBLES and text not in self._troubles:
            self._troubles.append(text)

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> Generator[None, pluggy.Result[object], None]:
        """After the last teardown: judge the session, the imports, and what was put off until now."""
        with self.ledger.fds.spare():  # pytest reads and writes files now, too
            outcome = yield
        if outcome.excinfo is None and exitstatus not in (
            pytest.ExitCode.INTERRUPTED,
            pytest.ExitCode.INTERNAL_ERROR,
        ):
            with self.ledger.fds.spare():
                self._finish_session()

    @_guarded
    def _finish_session(self) -> None:
        self.ledger.checkpoint()
        # With xdist, -k or --lf a module is imported of which no test runs here, nor the teardown that would close.
        imports = [owner for owner in self._imports if owner.context in self._used]
        late = [*self._live.values(), *imports, self._session_owner]
        for owner in late:
            self.ledger.end(owner)
        self._live.clear()
        self.ledger.fds.close()  # for the reports, if a test has used up all others
        if self._eventful:
            last = self._previous or self._item
            self._judging().judge_rest(last.nodeid if last is not None else "", self._alive)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        """The collection is over, and nothing of a test's may escape."""
        self._begin_tests()

    @_guarded
    def _begin_tests(self) -> None:
        audit.hear_all()
        if self._watch is not None:
            self._watch.look_again()  # the classes that were imported at collection

    # -- one test --------------------------------------------------------------------------------------------

    def _who_runs(self) -> Scope:
        """When no fixture or import does. No hook tells of a test's begin: every test would pay for what few ask."""
        item, phase = self._item, "call"
        if self._tears_down:
            phase = "teardown"
            owner = self._in_finalizer()
            if owner is not None:
                return Scope(owner, phase)
        if item is None:
            item, phase = next(iter([*self._tests]), None) or self._in_set_up(), "setup"
            if item is None:
                return Scope(self._session_owner, "teardown" if self._previous else "setup")
        owner = self._tests.get(item) or self._tests.setdefault(
            item, Owner("test", item.nodeid, "function", item)
        )
        return Scope(owner, phase)

    @property
    def _tears_down(self) -> bool:
        """Whether finalizers of a test run: it is taken from the stack before them."""
        return self._item is not None and self._item not in self._session._setupstate.stack

    def _in_set_up(self) -> pytest.Item | None:
        """The item that pytest sets up just now."""
        for frame in self._frames():
            # pytest's; plugins that have their own (flaky) call it so, too.
            if frame.f_code.co_name == "call_and_report":
                item = frame.f_locals.get("item")
                if isinstance(item, pytest.Item) and item.session is self._session:
                    return item if frame.f_locals.get("when") == "setup" else None
        return None

    def _in_finalizer(self) -> Owner | None:
        """The fixture that pytest tears down just now; None for the test's own teardown, and for a node's finalizers."""
        for frame in self._frames():
            if frame.f_code is _FINISH:
                return self._live.get(frame.f_locals["self"])
        return None

    def _frames(self) -> Iterator[FrameType]:
        """Those of the thread that runs the tests, innermost first."""
        at_home = threading.get_ident() == self._home
        frame = sys._getframe() if at_home else sys._current_frames().get(self._home)
        while frame is not None:
            yield frame
            frame = frame.f_back

    def pytest_exception_interact(self, node: object, report: object) -> None:
        """Only called for a failure: the leaks of a failed test are a note, not a second failure.

        pytest-retry runs the other attempts while the first one's report is made, which then has the last one's outcome.
        """
        if isinstance(node, pytest.Item) and getattr(report, "when", None) != "teardown":
            self._failed = node if getattr(report, "outcome", "failed") == "failed" else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """After each phase. That of the teardown comes when every finalizer has run, also those that raised.

        An interrupted phase (KeyboardInterrupt, pytest.exit) makes no report: nothing can be said of what its frames keep.
        """
        if call.when == "setup":
            self._item, self._failed, self._raising = item, None, None
            if self._imports:
                self._used.update(item.listchain())
        if call.excinfo is not None:
            self._raising = item
            failure_sections.explain(item, call.excinfo.value, call.when)
        if call.when == "teardown":
            try:
                if not self.ledger.is_idle() or self._watch is not None:
                    with self._unraisable.kept(), self.ledger.fds.spare():
                        errors = self._judge_test(item)
                        if errors:
                            self._fail(item, call, errors)
            except (KeyboardInterrupt, SystemExit, pytest.exit.Exception):
                raise
            except BaseException as error:  # noqa: BLE001
                if comes_from_outside(error):  # raised here, it would be an internal error of pytest
                    call.excinfo = call.excinfo or pytest.ExceptionInfo.from_exception(
                        without_own_frames(error)
                    )
                else:
                    self._trouble(f"judging {item.nodeid}", error)
            self._previous, self._item = item, None
            if self._erring:
                self._erring.clear()

    def _fail(self, item: pytest.Item, call: pytest.CallInfo[None], errors: list[Finding]) -> None:
        """The report that is about to be made says it: as an error of this teardown, or beside another failure."""
        from pytest_sockets.reports.text import message

        if call.excinfo is not None:
            _add_note(call.excinfo.value, item, message(errors))
            return
        if self._failed is item:
            item.add_report_section("teardown", "sockets", message(errors))
            return
        self._outbox().insist(item.nodeid)
        try:
            raise LeakFailure(message(errors))
        except LeakFailure:
            call.excinfo = pytest.ExceptionInfo.from_current()

    def _judge_test(self, item: pytest.Item) -> list[Finding]:
        """Judge what has ended; the findings with which this teardown must fail."""
        ledger = self.ledger
        try:
            if self._watch is not None:
                self._watch.look_again()  # what the test has imported
            ledger.checkpoint()
            owner = self._tests.get(item)
            if owner is not None:
                ledger.end(owner)
            ledger.scope = Scope(self._session_owner, "teardown")
            opened = ledger.opened - self._opened_before
            self._told += opened
            if not self._eventful:
                ledger.acquit()
                if opened:
                    self._outbox().note(item.nodeid, opened)
                return []
            if self._raising is item and self._failed is not item:
                _forget_expected_failure()
            batch = self._outbox().new(item.nodeid, opened)
            previous = self._previous.nodeid if self._previous is not None else ""
            return self._judging().judge_test(item, self._erring, previous, self._alive, batch)
        finally:
            self._opened_before = ledger.opened
            address_in_use.recent.forget()
            self._tests.clear()
            ledger.rest()

    # -- fixtures --------------------------------------------------------------------------------------------

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, pluggy.Result[object], None]:
        """The innermost set-up owns what is opened meanwhile; a fixture's dependencies are set up before its own."""
        owner = owner_of(fixturedef, request)
        if owner is None:
            yield  # the current owner goes on; each parameter of a test comes here
            return
        before = self._enter(Scope(owner, "setup"))
        self._live[fixturedef] = owner  # in the order of set-up
        outcome = yield
        owner.raised = outcome.excinfo is not None
        try:
            self._leave(before)
        except BaseException as error:  # noqa: BLE001  (raised here, pluggy would warn, too)
            outcome.force_exception(without_own_frames(error))

    def pytest_fixture_post_finalizer(self, fixturedef: FixtureDef[Any]) -> None:
        """Older pytest calls this for fixtures that were finished before: those have no result any more."""
        if fixturedef.cached_result is None:
            return
        owner = self._live.pop(fixturedef, None)
        if owner is None:
            return
        try:
            if self._tears_down:
                if owner.scope != "function":
                    with self._unraisable.kept():
                        self._hand_over(fixturedef, owner)
                self._erring.add(owner)
            self.ledger.end(owner)
        except BaseException as error:  # noqa: BLE001
            self._trouble(f"the end of {owner}", error)

    def _hand_over(self, fixturedef: FixtureDef[Any], owner: Owner) -> None:
        """What a wider fixture still keeps after its teardown is its own, also in the last test that uses it.

        After an earlier test it would be found with the live fixtures; whose a leak is must not hang on the tests' order.
        """
        left = self.ledger.left_open([*self._tests.values(), *self._erring])
        if left:
            from pytest_sockets.leaks import reachability, teardown_analysis
            from pytest_sockets.plugin.live_objects import kept_by

            roots = kept_by(fixturedef, owner) + teardown_analysis.named_by_teardown(fixturedef.func)
            for record in reachability.keepers(left, [(owner, roots)]):
                self.ledger.keep(record, owner)

    def _alive(self) -> list[tuple[Owner, list[Any]]]:
        """The owners that are not over, with what each keeps."""
        from pytest_sockets.plugin.live_objects import LiveObjects

        return LiveObjects(self._config, self._session, self.ledger).alive(self._live)


def _forget_expected_failure() -> None:
    """pytest keeps the last exception for debuggers: of an xfail, the frames would keep the sockets of their locals open."""
    for name in ("last_exc", "last_type", "last_value", "last_traceback"):
        if hasattr(sys, name):
            delattr(sys, name)


def _add_note(error: BaseException, item: pytest.Item, text: str) -> None:
    if hasattr(error, "add_note"):
        error.add_note(text)
    else:
        item.add_report_section("teardown", "sockets", text)
