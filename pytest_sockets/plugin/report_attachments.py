"""Attach the results of each test to its teardown report. Created for the first test that opened something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from pytest_sockets.plugin.hook_object import Part
from pytest_sockets.plugin.reporting import OUTPUT

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from pytest_sockets.plugin.payload import Batch
    from pytest_sockets.plugin.unraisable import Unraisable

_PATIENCE: Final = 100
"""Tests without results until the hook is unregistered. Registration costs more than an idle hook call."""


class Outbox(Part):
    """Puts each batch on the report that takes it to the reporting process. Registered while there are any."""

    def __init__(
        self,
        config: pytest.Config,
        trouble: Callable[[str, Exception], None],
        take: Callable[[pytest.TestReport], None] | None,
        unraisable: Unraisable,
        spare: Callable[[], AbstractContextManager[None]],
        *,
        stays: bool,
    ) -> None:
        """Call `take` with every report if this `stays`, else at least with those that carry a batch.

        `spare` frees a descriptor, since the test may have used up all others.
        """
        self._plugins = config.pluginmanager
        self._config = config
        self._trouble = trouble
        self._take = take
        self._unraisable = unraisable
        self._spare = spare
        self._stays = stays
        self._passed_by = 0
        """The number of consecutive tests without results."""
        self._batches: dict[str, Batch] = {}
        self._opened: dict[str, int] = {}
        self._insisting: set[str] = set()
        self._be_there()

    def _be_there(self) -> None:
        self._passed_by = 0
        if not self._plugins.is_registered(self):
            self._plugins.register(self, "sockets-outbox")

    def new(self, nodeid: str, opened: int) -> Batch:
        """Return an empty batch for a test that opened this many sockets, one of which may be a leak."""
        from pytest_sockets.plugin import ci_properties, payload

        # Kept: the test may have used up the descriptors that a later import needs.
        self._ci_properties = ci_properties
        self._be_there()
        batch = self._batches[nodeid] = payload.Batch(opened=opened)
        return batch

    def note(self, nodeid: str, opened: int) -> None:
        """Record how many sockets a test opened that left none."""
        self._opened[nodeid] = opened
        self._be_there()

    def insist(self, nodeid: str) -> None:
        """Force the failure of this test's teardown: a mark `xfail` expects failures of the test, not leaks."""
        self._insisting.add(nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Put the plain data on the teardown report before xdist serializes it."""
        if report.when == "teardown":
            with self._unraisable.kept():
                if report.nodeid in self._opened or report.nodeid in self._batches:
                    with self._spare():
                        self._attach(report)
                else:
                    self._attach(report)
        elif self._take is not None:
            self._take(report)
        if self._passed_by > _PATIENCE and not self._stays:
            self._plugins.unregister(self)

    def _attach(self, report: pytest.TestReport) -> None:
        try:
            self._put_on(report)
        except Exception as error:  # noqa: BLE001  (an internal error never changes the outcome)
            self._trouble(f"reporting the leaks of {report.nodeid}", error)
        if self._take is not None:
            self._take(report)

    def _put_on(self, report: pytest.TestReport) -> None:
        nodeid = report.nodeid
        self._passed_by += 1
        if nodeid in self._opened:
            setattr(report, OUTPUT, {"opened": self._opened.pop(nodeid)})
        elif nodeid in self._batches:
            batch = self._batches.pop(nodeid)
            setattr(report, OUTPUT, batch.as_json())
            if batch.leaks:
                self._ci_properties.attach(self._config, report, batch.leaks)
        if nodeid in self._insisting:
            self._insisting.discard(nodeid)
            report.outcome = "failed"
            vars(report).pop("wasxfail", None)
