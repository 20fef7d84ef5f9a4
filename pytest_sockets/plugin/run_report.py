"""Show the results of a run: the exit status, the section in the terminal, and the report files."""

from __future__ import annotations

import dataclasses
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_sockets.errors import SocketLeakWarning
from pytest_sockets.plugin.hook_object import HookObject
from pytest_sockets.plugin.results import OUTPUT, USAGE_ERROR

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from pytest_sockets.leaks.findings import Finding
    from pytest_sockets.plugin.results import Results
    from pytest_sockets.plugin.selection import Selection
    from pytest_sockets.plugin.settings import Settings
    from pytest_sockets.reports.baseline import Baseline
    from pytest_sockets.reports.baseline_check import Ran
    from pytest_sockets.reports.run import Run

_MOST_WARNINGS: Final = 3
"""The number of leaks that the warnings summary shows one by one."""


class RunReport(HookObject):
    """Shows the results of one run when it ends."""

    def __init__(
        self, config: pytest.Config, settings: Settings, results: Results, selection: Selection | None
    ) -> None:
        """`selection` says, for a baseline, which part of the suite runs."""
        self._config = config
        self._settings = settings
        self._results = results
        self._selection = selection
        self._began = time.time()
        self._part_only = config.args_source is pytest.Config.ArgsSource.ARGS
        self._without_teardown: list[Finding] = []
        """Leaks that must fail the run, but have no teardown to report them: only the summary does."""
        self._passed = False
        self._strict_failure = False
        self._usage_error: str | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Handle the end of an xdist worker. One that crashed has no output."""
        output = getattr(node, "workeroutput", {})
        self._usage_error = self._usage_error or output.get(USAGE_ERROR)
        data = output.get(OUTPUT)
        if data is None:
            self._results.lost_a_process()
        else:
            self._results.gather(data)

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Note that only a part of the suite runs."""
        self._part_only = self._part_only or bool(items)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Compare with the baseline, write the reports, and set the exit status for leaks without a teardown."""
        result = yield
        # pytest.exit() may have set any status.
        stopped = bool(session.shouldstop or session.shouldfail) or session.exitstatus not in (
            pytest.ExitCode.OK,
            pytest.ExitCode.TESTS_FAILED,
            pytest.ExitCode.NO_TESTS_COLLECTED,
        )
        try:
            self._finish(complete=not stopped)
        except Exception as error:  # noqa: BLE001  (an internal error never changes the outcome)
            self._results.record_error("finishing the reports", error)
        self._passed = session.exitstatus == pytest.ExitCode.OK
        if (self._without_teardown or self._strict_failure) and self._passed:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if self._usage_error is not None:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        return result

    def _finish(self, *, complete: bool) -> None:
        settings, results = self._settings, self._results
        hooked = bool(self._config.hook.pytest_sockets_report.get_hookimpls())
        if not (results.any or settings.counts_every_test or hooked):
            return
        run = results.run
        run.tests_seen = results.tests_seen
        if complete and not results.incomplete and not self._part_only:
            run.unmatched_rules = [rule for rule, hits in results.rule_hits.items() if hits == 0]
        leaks = [leak for leak, _ in results.leaks]
        known = [leak.known for leak in leaks]
        if settings.baseline is not None:
            known = self._finish_baseline(complete)
        for leak, is_known in zip(leaks, known, strict=True):
            run.findings.append(dataclasses.replace(leak.finding, known=is_known))
            if leak.mode == "error" and not leak.raised and not is_known:
                self._without_teardown.append(leak.finding)
        if run.findings:
            terminalreporter = self._config.pluginmanager.get_plugin("terminalreporter")
            _show_in_set_up_errors(terminalreporter)
            warned = [
                leak.finding
                for leak, is_known in zip(leaks, known, strict=True)
                if leak.mode == "warn" and not is_known
            ]
            _group_warnings(terminalreporter, warned)
        if settings.wants_report or hooked:
            self._describe_environment(run)
        if hooked:
            self._call_report_hook(run)
        if settings.reports:
            from pytest_sockets.reports.writing import write_reports

            run.internal_errors.extend(write_reports(run, settings.reports))
        if settings.github:
            from pytest_sockets.reports.github import write_step_summary

            run.internal_errors.extend(write_step_summary(run))

    def _finish_baseline(self, complete: bool) -> list[bool]:
        from pytest_sockets.reports import baseline, baseline_check, writing

        results = self._results
        path, ran = self._settings.baseline, results.ran
        assert path is not None
        assert ran is not None
        listed = baseline.read_baseline(path) if path.exists() else baseline.Baseline()
        self._complete_ran(ran, listed, complete)
        found = [
            baseline_check.Found(leak.finding, attempt, leak.finding.worker, leak.known)
            for leak, attempt in results.leaks
        ]
        if self._settings.update_baseline:
            updated = baseline_check.update(found, listed, ran)
            writing.write_text(path, baseline.format_baseline(updated), writing.SHARED)
            results.run.notes.append(
                f"the baseline {path.name} was written: {_entries(len(updated.entries))}"
            )
            return [True] * len(found)
        comparison = baseline_check.compare(found, listed, ran)
        results.run.baseline_changes = comparison.changes
        self._strict_failure = self._settings.baseline_strict and bool(comparison.changes)
        return list(comparison.known)

    def _complete_ran(self, ran: Ran, listed: Baseline, complete: bool) -> None:
        root, failed = self._config.rootpath, self._results.failed_tests
        names = {entry.key.owner.partition(" ")[2].partition("::")[0] for entry in listed.entries}
        ran.existing_files = frozenset(name for name in names if name and (root / name).exists())
        ran.failed_files = {nodeid.partition("::")[0] for nodeid in failed}
        ran.passed -= failed
        if self._selection is not None:
            self._selection.complete(ran, stopped=not complete or self._results.incomplete)

    def _describe_environment(self, run: Run) -> None:
        import platform

        from pytest_sockets.printable import masked

        config, environment = self._config, run.environment
        environment.project = config.rootpath.name
        environment.rootdir = str(config.rootpath)
        environment.pytest = pytest.__version__
        environment.python = platform.python_version()
        environment.platform = sys.platform
        environment.command = ("pytest", *(masked(str(word)) for word in config.invocation_params.args))
        environment.started = self._began
        environment.duration = time.time() - self._began

    def _call_report_hook(self, run: Run) -> None:
        from pytest_sockets.reports.json_report import as_report

        try:
            self._config.hook.pytest_sockets_report(report=as_report(run), config=self._config)
        except Exception as error:  # noqa: BLE001  (the results of the tests matter more)
            self._results.record_error("a pytest_sockets_report hook failed", error)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the section if there is one, one line of totals, and annotations."""
        try:
            self._summarize(terminalreporter)
            if self._settings.github and self._results.any:
                from pytest_sockets.reports.github import annotation_lines

                for line in annotation_lines(self._results.run):
                    terminalreporter.write_line(line)
        except Exception as error:  # noqa: BLE001  (an internal error never changes the outcome)
            terminalreporter.write_line(
                f"pytest-sockets could not do all of its work: printing its summary: {type(error).__name__}: {error}"
            )

    def _summarize(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._usage_error is not None:
            terminalreporter.write_line(f"ERROR: {self._usage_error}", red=True)
        if not self._results.any:
            return
        run = self._results.run
        if run.eventful or self._strict_failure:
            self._write_section(terminalreporter, run)
        if run.opened_total or run.ports_given or run.servers_started:
            terminalreporter.write_line(run.totals())

    def _write_section(self, terminalreporter: pytest.TerminalReporter, run: Run) -> None:
        from pytest_sockets.reports import text

        fails = bool(self._without_teardown) or self._strict_failure
        terminalreporter.section(text.title(run), yellow=not fails, red=fails)
        for line in text.summary(run):
            terminalreporter.write_line(line)
        if self._without_teardown:
            terminalreporter.write_line(text.FAILED_WITHOUT_TEARDOWN, red=True)
            for line in ("", *text.message(self._without_teardown).splitlines()):
                terminalreporter.write_line(line, red=True)
        elif self._strict_failure:
            terminalreporter.write_line(text.FAILED_STRICT, red=True)
        elif self._passed and any(leak.raised for leak, _ in self._results.leaks):
            terminalreporter.write_line(text.PASSED_WHEN_RERUN)


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"


def _group_warnings(terminalreporter: pytest.TerminalReporter | None, findings: list[Finding]) -> None:
    """Replace many warnings in the warnings summary by one that lists the opening lines."""
    shown = terminalreporter.stats.get("warnings", []) if terminalreporter is not None else []
    ours = [report for report in shown if f"{SocketLeakWarning.__name__}: " in report.message]
    if len(ours) <= _MOST_WARNINGS:
        return
    from pytest_sockets.reports.text import warning_of_all

    message = f"{SocketLeakWarning.__name__}: {warning_of_all(findings)}"
    position = shown.index(ours[0])
    shown[:] = [report for report in shown if report not in ours]
    shown.insert(position, dataclasses.replace(ours[0], message=message, nodeid=None, fslocation=None))


def _show_in_set_up_errors(terminalreporter: pytest.TerminalReporter | None) -> None:
    """Show the teardown's section also below a failed set-up, where pytest does not show it."""
    stats = terminalreporter.stats if terminalreporter is not None else {}
    failed = {report.nodeid: report for report in stats.get("error", ()) if report.when == "setup"}
    for report in stats.get("", ()) if failed else ():
        if report.when == "teardown" and report.nodeid in failed:
            sections = [one for one in report.sections if one[0] == "Captured sockets teardown"]
            failed[report.nodeid].sections.extend(sections)
