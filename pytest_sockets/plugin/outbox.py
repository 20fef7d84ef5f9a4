"""What each test left, until its teardown report can carry it. Made for the first test that opened something."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_sockets.plugin.part import Part
from pytest_sockets.plugin.reporting import OUTPUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sockets.plugin.batches import Batch


class Outbox(Part):
    """Puts each batch on the report on which it travels to the process that reports."""

    def __init__(
        self,
        config: pytest.Config,
        trouble: Callable[[str, Exception], None],
        take: Callable[[pytest.TestReport], None] | None,
    ) -> None:
        self._config = config
        self._trouble = trouble
        self._take = take
        self._batches: dict[str, Batch] = {}
        self._opened: dict[str, int] = {}
        self._insisting: set[str] = set()
        config.pluginmanager.register(self, "sockets-outbox")

    def new(self, nodeid: str, opened: int) -> Batch:
        """An empty batch for a test that opened so many sockets, one of which may be a leak."""
        from pytest_sockets.plugin import batches, machines

        # Kept: when it is used, the test may have used up the descriptors that an import needs.
        self._machines = machines
        batch = self._batches[nodeid] = batches.Batch(opened=opened)
        return batch

    def note(self, nodeid: str, opened: int) -> None:
        """This test opened so many sockets, and left none."""
        self._opened[nodeid] = opened

    def insist(self, nodeid: str) -> None:
        """The teardown of this test errs: a mark `xfail` expects failures of the test, not sockets that it leaves open."""
        self._insisting.add(nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Put the plain data on the teardown report before xdist serializes it."""
        if report.when == "teardown":
            try:
                self._put_on(report)
            except Exception as error:  # noqa: BLE001  (our own trouble never changes the outcome)
                self._trouble(f"telling what {report.nodeid} left", error)
        if self._take is not None:
            self._take(report)

    def _put_on(self, report: pytest.TestReport) -> None:
        nodeid = report.nodeid
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
