"""What each test left, until its teardown report can carry it. Made for the first test that opened something."""

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
"""Tests. Registering reads signatures, which costs more than an idle hook call."""


class Outbox(Part):
    """Puts each batch on the report on which it travels to the process that reports; registered while there are any."""

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
        """`take` is called with every report if this `stays`, else at least with those that carry something.

        `spare` makes a descriptor available, since the test may have used up all others.
        """
        self._plugins = config.pluginmanager
        self._config = config
        self._trouble = trouble
        self._take = take
        self._unraisable = unraisable
        self._spare = spare
        self._stays = stays
        self._passed_by = 0
        """Tests in a row that had nothing."""
        self._batches: dict[str, Batch] = {}
        self._opened: dict[str, int] = {}
        self._insisting: set[str] = set()
        self._registered = False
        self._be_there()

    def _be_there(self) -> None:
        self._passed_by = 0
        if not self._registered:
            self._registered = True
            self._plugins.register(self, "sockets-outbox")

    def new(self, nodeid: str, opened: int) -> Batch:
        """An empty batch for a test that opened so many sockets, one of which may be a leak."""
        from pytest_sockets.plugin import ci_properties, payload

        # Kept: when it is used, the test may have used up the descriptors that an import needs.
        self._machines = ci_properties
        self._be_there()
        batch = self._batches[nodeid] = payload.Batch(opened=opened)
        return batch

    def note(self, nodeid: str, opened: int) -> None:
        """This test opened so many sockets, and left none."""
        self._opened[nodeid] = opened
        self._be_there()

    def insist(self, nodeid: str) -> None:
        """The teardown of this test fails: a mark `xfail` expects failures of the test, not sockets that it leaves open."""
        self._insisting.add(nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Put the plain data on the teardown report before xdist serializes it."""
        if report.when == "teardown":
            if report.nodeid in self._batches:
                with self._unraisable.kept(), self._spare():
                    self._tell(report)
            else:
                self._tell(report)
        elif self._take is not None:
            self._take(report)
        if self._passed_by > _PATIENCE and not self._stays:
            self._registered = False
            self._plugins.unregister(self)

    def _tell(self, report: pytest.TestReport) -> None:
        try:
            self._put_on(report)
        except Exception as error:  # noqa: BLE001  (our own trouble never changes the outcome)
            self._trouble(f"telling what {report.nodeid} left", error)
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
                self._machines.tell(self._config, report, batch.leaks)
        if nodeid in self._insisting:
            self._insisting.discard(nodeid)
            report.outcome = "failed"
            vars(report).pop("wasxfail", None)
