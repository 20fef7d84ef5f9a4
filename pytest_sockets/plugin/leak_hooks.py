"""Which parts this process needs: the leak detection where tests run, the reporting where results arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_sockets.plugin.batches import OUTPUT, USAGE_ERROR, Batch
from pytest_sockets.plugin.counts import counts
from pytest_sockets.plugin.policies import check_marks

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_sockets.plugin.leak_detection import LeakDetection
    from pytest_sockets.plugin.reporting import Reporting
    from pytest_sockets.plugin.settings import Settings


def register(config: pytest.Config, settings: Settings) -> None:
    """Called once in `pytest_configure`. A run that only collects gets nothing but the check of the marks."""
    if config.getoption("collectonly", False):
        config.pluginmanager.register(MarkCheck(None), "sockets-marks")
        return
    parts = _Parts(config, settings)
    if not hasattr(config, "workerinput"):
        from pytest_sockets.plugin.reporting import Reporting

        # Before the detection: of two trylast wrappers the later one is the inner, so the detection finishes first.
        parts.reporting = Reporting(config, settings)
        config.pluginmanager.register(parts.reporting, "sockets-reporting")
        config.pluginmanager.register(Receiver(parts.reporting), "sockets-receiver")
    if _is_xdist_controller(config):
        return
    config.pluginmanager.register(Ending(parts), "sockets-ending")
    if settings.leaks != "off" or settings.unclosed != "off":
        parts.add_detection()
    config.pluginmanager.register(MarkCheck(parts), "sockets-marks")


def _is_xdist_controller(config: pytest.Config) -> bool:
    return config.getoption("dist", "no") != "no" and not hasattr(config, "workerinput")


class _Parts:
    """The parts of this process, made when they are needed."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._config = config
        self._settings = settings
        self.reporting: Any = None
        self.detection: LeakDetection | None = None

    def add_detection(self) -> LeakDetection:
        from pytest_sockets.plugin.leak_detection import LeakDetection
        from pytest_sockets.plugin.reporting import wants_timeline

        take = None
        if self.reporting is not None:
            take = self.reporting.take
            # One hook call for each report instead of two: it is counted in the budget of an empty test.
            self._config.pluginmanager.unregister(name="sockets-receiver")
        self.detection = LeakDetection(self._config, self._settings, take)
        if wants_timeline(self._settings):
            self.detection.verdicts.watch_lives()
        self._config.pluginmanager.register(self.detection, "sockets-detection")
        return self.detection

    @property
    def is_worker(self) -> bool:
        """Whether this process is an xdist worker."""
        return hasattr(self._config, "workerinput")

    def tell_usage_error(self, text: str) -> None:
        """Rides on the worker's output, as the last batch does."""
        self._config.workeroutput[USAGE_ERROR] = text  # type: ignore[attr-defined]

    def end(self) -> None:
        """Deliver the last batch of this process; with xdist it rides on the worker's output."""
        batch = self.detection.verdicts.finish() if self.detection is not None else Batch()
        counts(self._config).add_to(batch)
        try:
            data = batch.as_json()
        except Exception as error:  # noqa: BLE001  (our own trouble never changes the outcome)
            data = {"opened": 0, "troubles": [f"telling the rest: {type(error).__name__}: {error}"]}
        if self.reporting is not None:
            self.reporting.gather(data)
        else:
            self._config.workeroutput[OUTPUT] = data  # type: ignore[attr-defined]


class Receiver:
    """Hands the reports to the reporting where no detection runs: on an xdist controller, or with detection off."""

    def __init__(self, reporting: Reporting) -> None:
        self._reporting = reporting

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called for the reports of every worker."""
        self._reporting.take(report)


class Ending:
    """When the session is over, after the detection has judged and before the reporting shows."""

    def __init__(self, parts: _Parts) -> None:
        self._parts = parts

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self) -> Generator[None, object, object]:
        """Registered after the reporting and before the detection: of trylast wrappers the later one is the inner."""
        result = yield
        self._parts.end()
        return result


class MarkCheck:
    """A mark that cannot be used ends the run before the first test; one that turns detection on starts it."""

    def __init__(self, parts: _Parts | None) -> None:
        self._parts = parts

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Check each mark once."""
        try:
            turned_on = check_marks(items)
        except pytest.UsageError as error:
            if self._parts is None or not self._parts.is_worker:
                raise
            # In an xdist worker it would be an internal error: run nothing and let the controller say it.
            items.clear()
            self._parts.tell_usage_error(str(error))
            return
        if turned_on and self._parts is not None and self._parts.detection is None:
            self._parts.add_detection().start()
