"""Attach the results of each test to its teardown report. Created with the first result that a report must carry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from pytest_sockets.plugin.hook_object import HookObject
from pytest_sockets.plugin.results import OUTPUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from pytest_sockets.plugin.payload import Leak, Payload
    from pytest_sockets.plugin.unraisable import Unraisable
    from pytest_sockets.reports.spans import SocketLife

_PATIENCE: Final = 100
"""Tests without results until the hook is unregistered. Registration costs more than an idle hook call."""


class ReportAttachments(HookObject):
    """Puts each payload on the report that takes it to the reporting process. Registered while there are any."""

    def __init__(
        self,
        config: pytest.Config,
        record_error: Callable[[str, Exception], None],
        on_report: Callable[[pytest.TestReport], None] | None,
        unraisable: Unraisable,
        spare: Callable[[], AbstractContextManager[None]],
        *,
        stays: bool,
    ) -> None:
        """Call `on_report` with every report if this `stays`, else at least with those that carry a payload.

        `spare` frees a descriptor, since the test may have used up all others.
        """
        self._config = config
        self._plugins = config.pluginmanager
        self._record_error = record_error
        self._on_report = on_report
        self._unraisable = unraisable
        self._spare = spare
        self._stays = stays
        self._idle_tests = 0
        """The number of consecutive tests without results."""
        self._waiting: dict[str, Payload | int] = {}
        """By the node id of the test; only the number of sockets if the test left none."""
        self._forced: set[str] = set()
        self._registered = False
        self._stay_registered()

    def _stay_registered(self) -> None:
        self._idle_tests = 0
        if not self._registered:
            self._registered = True
            self._plugins.register(self, "sockets-report-attachments")

    def attach(self, nodeid: str, leaks: Iterable[Leak], lives: Iterable[SocketLife]) -> None:
        """Attach what a test left, besides how many sockets it opened."""
        # Imported now: when the report is made, the test may have used up the descriptors that an import needs.
        from pytest_sockets.plugin import ci_properties, payload  # noqa: F401

        noted = self._waiting.get(nodeid)
        opened = noted if isinstance(noted, int) else 0  # else it is of an attempt that was never reported
        self._waiting[nodeid] = payload.Payload(opened=opened, leaks=list(leaks), lives=list(lives))
        self._stay_registered()

    def note(self, nodeid: str, opened: int) -> None:
        """Record how many sockets a test opened."""
        self._waiting[nodeid] = opened
        self._stay_registered()

    def force_failure(self, nodeid: str) -> None:
        """Force the failure of this test's teardown: a mark `xfail` expects failures of the test, not leaks."""
        self._forced.add(nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Put the plain data on the teardown report before xdist serializes it."""
        if report.when == "teardown":
            if report.nodeid in self._waiting:
                with self._unraisable.kept(), self._spare():
                    self._attach(report)
            else:
                self._attach(report)
        else:
            self._hand_over(report)
        if self._idle_tests > _PATIENCE and not self._stays:
            self._registered = False
            self._plugins.unregister(self)

    def _attach(self, report: pytest.TestReport) -> None:
        try:
            self._put_on(report)
        except Exception as error:  # noqa: BLE001  (an internal error never changes the outcome)
            self._record_error(f"reporting the leaks of {report.nodeid}", error)
        self._hand_over(report)

    def _hand_over(self, report: pytest.TestReport) -> None:
        if self._on_report is None:
            return
        try:
            self._on_report(report)
        except Exception as error:  # noqa: BLE001  (an internal error never changes the outcome)
            self._record_error(f"counting the sockets of {report.nodeid}", error)

    def _put_on(self, report: pytest.TestReport) -> None:
        nodeid = report.nodeid
        self._idle_tests += 1
        waiting = self._waiting.pop(nodeid, None)
        if isinstance(waiting, int):
            setattr(report, OUTPUT, {"opened": waiting})
        elif waiting is not None:
            from pytest_sockets.plugin import ci_properties

            setattr(report, OUTPUT, waiting.as_json())
            if waiting.leaks:
                ci_properties.attach(self._config, report, waiting.leaks)
        if nodeid in self._forced:
            self._forced.discard(nodeid)
            if report.outcome in (
                "passed",
                "skipped",
            ):  # else rerunfailures made it a "rerun", which does not count
                report.outcome = "failed"
                vars(report).pop("wasxfail", None)
