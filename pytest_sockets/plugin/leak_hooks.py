"""pytest's course of events, told to the ledger: which owner runs, which has ended, and what is then left is judged.

Budget: an empty test may cost a dozen microseconds in all, so the hooks of a passing test that opened nothing are plain
functions, and nothing is computed, or imported, before something is suspicious.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_sockets import lookups
from pytest_sockets.leaks import watcher
from pytest_sockets.leaks.attribution import watch
from pytest_sockets.leaks.call_site import Places
from pytest_sockets.leaks.children import Children
from pytest_sockets.leaks.outside import alarm_paused, comes_from_outside, without_own_frames
from pytest_sockets.leaks.owner import Owner
from pytest_sockets.leaks.registry import Registry
from pytest_sockets.plugin import address_in_use, failure_sections, leak_failure
from pytest_sockets.plugin.fixture_hooks import FixtureHooks
from pytest_sockets.plugin.hook_object import HookObject
from pytest_sockets.plugin.import_hooks import ImportHooks
from pytest_sockets.plugin.internal_errors import InternalErrors, guarded
from pytest_sockets.plugin.results import wants_timeline
from pytest_sockets.plugin.scope_changes import ScopeChanges
from pytest_sockets.plugin.unraisable import Unraisable

if TYPE_CHECKING:
    from collections.abc import Generator

    import pluggy

    from pytest_sockets.leaks.findings import Finding
    from pytest_sockets.plugin.leak_evaluation import LeakEvaluation
    from pytest_sockets.plugin.payload import Payload
    from pytest_sockets.plugin.report_attachments import ReportAttachments
    from pytest_sockets.plugin.results import Results
    from pytest_sockets.plugin.settings import Settings

_FINISH: Final = pytest.FixtureDef.finish.__code__


class LeakDetection(HookObject):
    """The leak detection of one run in one process; registered only where tests run."""

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        results: Results | None,
    ) -> None:
        self._config = config
        self._settings = settings
        self._session_owner = Owner("session", "session", "session")
        places = Places(config.rootpath)
        self._children = Children(settings.kinds) if settings.scope == "tree" and os.name == "posix" else None
        self.registry = Registry(places, self._session_owner, self._children)
        self.errors = InternalErrors()
        self._verdicts: LeakEvaluation | None = None
        self._watch: Any = None
        self._on_report = results.on_report if results is not None else None
        self._count = results.count if results is not None and not settings.counts_every_test else None
        """Counts a test's sockets at once; else the number travels on the test's report."""
        self._unraisable = Unraisable()
        self._made_attachments: ReportAttachments | None = None
        scopes = ScopeChanges(self.registry, self.errors)
        self.fixtures = FixtureHooks(self.registry, scopes, self.errors, self._unraisable)
        self.imports = ImportHooks(self.registry, scopes)
        self._session: Any = None
        self._previous: pytest.Item | None = None
        self._failed: pytest.Item | None = None
        self._raising: pytest.Item | None = None
        """Its set-up or call raised, as a failure or as an expected one."""
        self._opened_before = self._told = 0

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
        """Watch sockets, threads and children from now on; what is open now has no owner."""
        attribution = watch(self.registry)
        attribution.on_error = self.errors.record
        self.registry.current.find_finalizers(_FINISH, self.fixtures.live)
        self._config.add_cleanup(functools.partial(watcher.stop_listening, attribution))
        self._config.add_cleanup(address_in_use.watch(self.registry))
        self._begin()
        before, lookups.socket_opener = lookups.socket_opener, self._opener
        self._config.add_cleanup(functools.partial(setattr, lookups, "socket_opener", before))

    @guarded
    def _begin(self) -> None:
        self._session = self.fixtures.session = self._config.pluginmanager.get_plugin("session")
        self.registry.begin()
        self._config.add_cleanup(self.registry.fds.close)
        settings = self._settings
        if settings.counts_every_test:
            self._attachments()
        if settings.unclosed != "off" or settings.baseline is not None or wants_timeline(settings):
            verdicts = self._judging()
            verdicts.begin(lives=wants_timeline(settings))
            self._watch = verdicts.watch

    @guarded
    def _begun(self) -> None:
        """Plugins have started their own, and conftest.py the suite's."""
        self.registry.checkpoint()
        if self._children is not None:
            self._children.keep_the_users()

    def _judging(self) -> LeakEvaluation:
        """What judges, imported when it is needed first."""
        if self._verdicts is None:
            from pytest_sockets.plugin.leak_evaluation import LeakEvaluation

            self._verdicts = LeakEvaluation(self._config, self._settings, self.registry, self._children)
        return self._verdicts

    def _attachments(self) -> ReportAttachments:
        if self._made_attachments is None:
            with self.registry.fds.spare():
                from pytest_sockets.plugin.report_attachments import ReportAttachments

            stays = self._settings.counts_every_test
            self._made_attachments = ReportAttachments(
                self._config,
                self.errors.record,
                self._on_report,
                self._unraisable,
                self.registry.fds.spare,
                stays=stays,
            )
        return self._made_attachments

    @property
    def _has_suspects(self) -> bool:
        """Whether an owner that has ended, or a child of one, may have left something."""
        return self.registry.has_suspects or (self._verdicts is not None and self._verdicts.eventful)

    def finish(self) -> Payload | None:
        """What is left to tell when the process ends; None if it is nothing."""
        self._unraisable.tell()
        untold = self.registry.opened - self._told
        if self._verdicts is None and not (untold or self.errors.texts or self._settings.ignore):
            return None
        payload = self._judging().finish(untold)
        payload.internal_errors.extend(self.errors.texts)
        return payload

    def _opener(self, inode: int) -> str | None:
        """What opened this socket and where, for the explanation of who holds a port."""
        record = self.registry.by_inode(inode)
        if record is None:
            return None
        place = record.call_site.opened_at(self.registry.places) if record.call_site is not None else None
        return f"{record.opener}, at {place.file}:{place.line}" if place is not None else str(record.opener)

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> Generator[None, pluggy.Result[object], None]:
        """After the last teardown: judge the session, the imports, and what was put off until now."""
        with self.registry.fds.spare():  # pytest reads and writes files now, too
            outcome = yield
        if outcome.excinfo is None and exitstatus not in (
            pytest.ExitCode.INTERRUPTED,
            pytest.ExitCode.INTERNAL_ERROR,
        ):
            with self.registry.fds.spare():
                self._finish_session()

    @guarded
    def _finish_session(self) -> None:
        self.registry.checkpoint()
        for owner in (*self.fixtures.live.values(), *self.imports.used(), self._session_owner):
            self.registry.end(owner)
        self.fixtures.live.clear()
        self.registry.fds.close()  # for the reports, if a test has used up all others
        if self._has_suspects:
            last = self._previous or self.fixtures.item
            self._judging().judge_rest(last.nodeid if last is not None else "", self._alive)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        """The collection is over, and nothing of a test's may escape."""
        self._begin_tests()

    @guarded
    def _begin_tests(self) -> None:
        watcher.look_again()
        if self._watch is not None:
            self._watch.look_again()  # the classes that were imported at collection

    # -- one test --------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """A test begins, or its next attempt."""
        self.registry.current.begin_test(item.nodeid, item)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self) -> None:
        """What runs from here on tears down."""
        self.registry.current.go_on("teardown")

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
            self.fixtures.item, self._failed, self._raising = item, None, None
            self.registry.current.go_on("call")
            self.imports.note_ran(item)
        if call.excinfo is not None:
            self._raising = item
            failure_sections.explain(item, call.excinfo.value, call.when)
        if call.when == "teardown":
            try:
                if self.registry.is_idle() and self._watch is None:
                    self.registry.current.end_test()
                else:
                    self._end_test(item, call)
            except (KeyboardInterrupt, SystemExit, pytest.exit.Exception):
                raise
            except BaseException as error:  # noqa: BLE001
                if comes_from_outside(error):  # raised here, it would be an internal error of pytest
                    call.excinfo = call.excinfo or pytest.ExceptionInfo.from_exception(
                        without_own_frames(error)
                    )
                else:
                    self.errors.record(f"judging {item.nodeid}", error)
                self.registry.current.end_test()
            self._previous, self.fixtures.item = item, None
            if self.fixtures.ended:
                self.fixtures.ended.clear()

    def _end_test(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """It has done something: what it opened is counted, what it left is judged."""
        registry = self.registry
        try:
            if self._watch is not None:
                self._watch.look_again()  # what the test has imported
            registry.checkpoint()
            owner = registry.current.test_owner
            if owner is not None:
                registry.end(owner)
            registry.current.end_test()
            opened = registry.opened - self._opened_before
            if opened:
                self._tell_opened(item, opened)
            if self._has_suspects:
                with alarm_paused(), self._unraisable.kept(), registry.fds.spare():
                    errors = self._judge_test(item)
                    if errors and leak_failure.put_into(call, item, errors, failed=self._failed is item):
                        self._attachments().force_failure(item.nodeid)
        finally:
            self._opened_before = registry.opened
            registry.rest()

    def _tell_opened(self, item: pytest.Item, opened: int) -> None:
        self._told += opened
        if self._count is not None:
            self._count(opened)
        else:
            self._attachments().note(item.nodeid, opened)

    def _judge_test(self, item: pytest.Item) -> list[Finding]:
        """The findings with which this teardown must fail. Most suspects are closed by a collection, and leave no result."""
        if self._raising is item and self._failed is not item:
            leak_failure.forget_expected_failure()
        previous = self._previous.nodeid if self._previous is not None else ""
        judging = self._judging()
        leaks = judging.judge_test(item, self.fixtures.ended, previous, self._alive)
        lives = judging.take_lives()
        if leaks or lives:
            self._attachments().attach(item.nodeid, leaks, lives)
        return [leak.finding for leak in leaks if leak.raised]

    def _alive(self) -> list[tuple[Owner, list[Any]]]:
        """The owners that are not over, with what each keeps."""
        from pytest_sockets.plugin.live_objects import LiveObjects

        return LiveObjects(self._config, self._session, self.registry).alive(self.fixtures.live)
