"""Register the hook objects that a process needs: leak detection where tests run, the report where results arrive."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sockets.plugin.hook_object import HookObject
from pytest_sockets.plugin.results import COUNTS, NOTHING, OUTPUT, USAGE_ERROR, Results
from pytest_sockets.plugin.run_report import RunReport
from pytest_sockets.plugin.shared_processes import SharedProcesses

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType

    import pluggy

    from pytest_sockets.plugin.leak_hooks import LeakDetection
    from pytest_sockets.plugin.settings import Settings


def register(config: pytest.Config, settings: Settings) -> None:
    """Register them in `pytest_configure`. A run that only collects gets the fixtures and the check of the marks."""
    for module in modules():
        config.pluginmanager.register(module, module.__name__)
    if config.getoption("collectonly", False):
        config.pluginmanager.register(MarkCheck(None), "sockets-marks")
        return
    parts = _Parts(config, settings)
    if sys.platform != "linux":
        from pytest_sockets.plugin import leak_support

        leak_support.check(config, settings)
    selection = None
    if settings.baseline is not None:
        from pytest_sockets.plugin.selection import Selection

        selection = Selection(config)
        config.pluginmanager.register(selection, "sockets-selection")
    if not parts.is_worker:
        parts.results = Results(settings)
        # Before the detection: of two trylast wrappers, the later one is the inner. The detection then finishes first.
        report = RunReport(config, settings, parts.results, selection)
        config.pluginmanager.register(report, "sockets-run-report")
    if _is_xdist_controller(config):
        parts.do_without_detection()
        config.pluginmanager.register(SharedProcesses(), "sockets-shared-processes")
        return
    config.pluginmanager.register(Ending(parts), "sockets-ending")
    if settings.leaks != "off" or settings.unclosed != "off":
        parts.add_detection()
    else:
        parts.do_without_detection()
    config.pluginmanager.register(MarkCheck(parts), "sockets-marks")


def modules() -> tuple[ModuleType, ...]:
    """Return the modules with fixtures, and with hooks that every run has."""
    from pytest_sockets.plugin import (
        failure_sections,
        port_fixtures,
        process_fixtures,
        server_fixtures,
        table_fixture,
    )

    return (failure_sections, table_fixture, port_fixtures, server_fixtures, process_fixtures)


def _is_xdist_controller(config: pytest.Config) -> bool:
    return config.getoption("dist", "no") != "no" and not hasattr(config, "workerinput")


class _Parts:
    """The hook objects of this process, created on demand."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._config = config
        self._settings = settings
        self.results: Results | None = None
        """None on an xdist worker."""
        self.detection: LeakDetection | None = None

    def do_without_detection(self) -> None:
        """Do what the detection does in its own hooks: each hook call counts in the budget of an empty test."""
        from pytest_sockets.plugin.failure_sections import FailureWatch

        manager = self._config.pluginmanager
        manager.register(FailureWatch(), "sockets-failures")
        if self.results is not None:
            manager.register(Receiver(self.results), "sockets-receiver")

    def add_detection(self) -> LeakDetection:
        """Add the leak detection, in `pytest_configure` or when a mark turns it on."""
        from pytest_sockets.plugin.leak_hooks import LeakDetection

        manager = self._config.pluginmanager
        for name in ("sockets-failures", "sockets-receiver"):
            if manager.has_plugin(name):
                manager.unregister(name=name)
        self.detection = LeakDetection(self._config, self._settings, self.results)
        manager.register(self.detection, "sockets-detection")
        manager.register(self.detection.fixtures, "sockets-fixtures")
        manager.register(self.detection.imports, "sockets-imports")
        return self.detection

    @property
    def is_worker(self) -> bool:
        """Whether this process is an xdist worker."""
        return hasattr(self._config, "workerinput")

    def send_usage_error(self, text: str) -> None:
        """Send a usage error on the worker's output, like the last payload."""
        self._config.workeroutput[USAGE_ERROR] = text  # type: ignore[attr-defined]

    def end(self) -> None:
        """Deliver the last payload of this process; with xdist, on the worker's output."""
        try:
            data = self._last_payload()
        except Exception as error:  # noqa: BLE001  (an internal error never changes the outcome)
            text = f"sending the last results: {type(error).__name__}: {error}"
            data = {
                **NOTHING,
                "rest": json.dumps({"internal_errors": [text]}),
            }  # as Payload.as_json() makes it
        if self.results is not None:
            self.results.gather(data)
        else:
            self._config.workeroutput[OUTPUT] = data  # type: ignore[attr-defined]

    def _last_payload(self) -> dict[str, Any]:
        rest = self.detection.finish() if self.detection is not None else None
        counts = self._config.stash.get(COUNTS, None)
        if rest is None and counts is None:
            return NOTHING
        from pytest_sockets.plugin.payload import Payload

        payload = rest or Payload()
        if counts is not None:
            counts.add_to(payload)
        return payload.as_json()


class Receiver(HookObject):
    """Adds each test report to the results where no detection runs: on an xdist controller, or with detection off."""

    def __init__(self, results: Results) -> None:
        self._results = results

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Receive the reports of every worker."""
        self._results.on_report(report)


class Ending(HookObject):
    """Ends the session, after the detection has judged and before the report shows the results."""

    def __init__(self, parts: _Parts) -> None:
        self._parts = parts

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_sessionfinish(self) -> Generator[None, pluggy.Result[object], None]:
        """Run after the detection and before the report: of trylast wrappers, the later one is the inner."""
        outcome = yield
        if outcome.excinfo is None:
            self._parts.end()


class MarkCheck(HookObject):
    """Ends the run before the first test if a mark is invalid, and starts detection if a mark turns it on."""

    def __init__(self, parts: _Parts | None) -> None:
        self._parts = parts

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Check each mark once."""
        if not _any_marked(items):
            return
        from pytest_sockets.plugin.policies import check_marks

        try:
            turned_on = check_marks(items)
        except pytest.UsageError as error:
            if self._parts is None or not self._parts.is_worker:
                raise
            # An xdist worker would show an internal error. Run nothing there; the controller reports it.
            items.clear()
            self._parts.send_usage_error(str(error))
            return
        if turned_on and self._parts is not None and self._parts.detection is None:
            self._parts.add_detection().start()


def _any_marked(items: list[pytest.Item]) -> bool:
    """Whether any item, or a class or module around it, has a mark of this plugin.

    Nodes are not hashed, which would call Python code.
    """
    last: Any = None
    for item in items:
        if item.own_markers and _is_marked(item):
            return True
        if item.parent is not last:
            last = item.parent
            if any(map(_is_marked, item.listchain()[:-1])):
                return True
    return False


def _is_marked(node: Any) -> bool:
    return any(mark.name == "sockets" for mark in node.own_markers)
