"""Gather the results of the tests' processes, and show them: exit status, summary section, report files."""

from __future__ import annotations

import dataclasses
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_sockets.errors import SocketLeakWarning
from pytest_sockets.plugin.hook_object import HookObject
from pytest_sockets.table import own_fds

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from pytest_sockets.leaks.findings import Finding
    from pytest_sockets.plugin.counts import Counts
    from pytest_sockets.plugin.payload import Leak, Payload
    from pytest_sockets.plugin.selection import Selection
    from pytest_sockets.plugin.settings import Settings
    from pytest_sockets.reports.baseline import Baseline
    from pytest_sockets.reports.baseline_check import Ran
    from pytest_sockets.reports.run import Run

_MOST_WARNINGS: Final = 3
"""The number of leaks that the warnings summary shows one by one."""
OUTPUT: Final = "sockets"
"""The key of a process's last payload in an xdist worker's output, and the attribute for a report's payload."""
USAGE_ERROR: Final = "sockets_usage_error"
"""The key of an invalid mark, found where the tests are collected."""
NOTHING: Final[dict[str, Any]] = {"opened": 0}
"""The payload of a process that has nothing to report."""
COUNTS: Final[pytest.StashKey[Counts]] = pytest.StashKey()
"""`config.stash[COUNTS]`: the ports and servers of this process; absent if there are none."""


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("pytest-sockets")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"


class Reporting(HookObject):
    """Gathers the results of one run and shows them."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._config = config
        self._settings = settings
        self._run: Run | None = None
        self._tests_seen = 0
        self._timeline = wants_timeline(settings)
        self._ran: Ran | None = None
        self._selection: Selection | None = None
        if settings.baseline is not None:
            from pytest_sockets.reports.baseline_check import Ran

            self._ran = Ran(
                kinds=settings.kinds,
                leaks=settings.leaks != "off",
                unclosed=settings.unclosed != "off",
                children=settings.scope == "tree",
            )
        self._began = time.time()
        self._outcomes: dict[tuple[str, str | None], str] = {}
        self._starts: dict[tuple[str, str | None], float] = {}
        self._part_only = config.args_source is pytest.Config.ArgsSource.ARGS
        self._failed_tests: set[str] = set()
        self._rule_hits: dict[str, int] = {}
        self._imports_seen: set[tuple[str, object]] = set()
        self._without_teardown: list[Finding] = []
        """Leaks that must fail the run, but have no teardown to report them: only the summary does."""
        self._passed = False
        self._incomplete = False
        self._usage_error: str | None = None
        self._leaks: list[Leak] = []
        self._attempts: list[int] = []
        """For each leak, the number of its attempt: a test that runs again has another one."""
        self._attempt = 0
        self._strict_failure = False

    def watch_selection(self, selection: Selection) -> None:
        """Watch, for a baseline, which part of the suite runs."""
        self._selection = selection

    @property
    def run(self) -> Run:
        """The results so far; created when there are any."""
        if self._run is None:
            from pytest_sockets.reports.run import Run

            self._run = Run(_version() if self._settings.wants_report else "", self._settings.mode())
            self._run.environment.platform = sys.platform
        return self._run

    # -- gathering -------------------------------------------------------------------------------------------

    def on_report(self, report: pytest.TestReport) -> None:
        """Take the plain data from the teardown report, whatever process ran the test."""
        if self._timeline:
            self._note_span(report)
        if self._ran is not None:
            self._note_ran(report, self._ran)
        if report.when != "teardown":
            return
        self._tests_seen += 1
        data = getattr(report, OUTPUT, None)
        if data is not None:
            self.run.opened_sockets += data["opened"] > 0
            self.gather(data)

    def count(self, opened: int) -> None:
        """Count the sockets of a test of this process; its reports need not carry the number."""
        if self._run is None:
            with own_fds.spare():  # for an import, if the test has used up all descriptors
                run = self.run
        else:
            run = self._run
        run.opened_sockets += 1
        run.opened_total += opened
        if self._settings.leaks == "off":
            run.marked = True

    def _note_ran(self, report: pytest.TestReport, ran: Ran) -> None:
        nodeid = report.nodeid
        ran.seen.add(nodeid)
        if report.when == "call" and report.passed:
            ran.passed.add(nodeid)  # the last attempt of a rerun test counts
            self._failed_tests.discard(nodeid)
        elif report.when != "teardown" and report.failed:
            self._failed_tests.add(nodeid)

    def gather(self, data: dict[str, Any]) -> None:
        """Add one process's payload; a payload that cannot be read becomes one line."""
        if data == NOTHING:
            return
        if self._settings.leaks == "off" and data["opened"]:
            self.run.marked = True
        if data.keys() == NOTHING.keys():  # a test that closed its sockets: the usual case
            self.run.opened_total += data["opened"]
            return
        try:
            from pytest_sockets.plugin.payload import Payload

            self._gather(Payload.from_json(data))
        except Exception as error:  # noqa: BLE001  (an internal error never changes the outcome)
            self.record_error("gathering the results of the tests", error)

    def record_error(self, what: str, error: Exception) -> None:
        """Report a failure of this plugin once at the end, and let the run go on."""
        text = f"{what}: {type(error).__name__}: {error}"
        if text not in self.run.internal_errors:
            self.run.internal_errors.append(text)

    def _gather(self, payload: Payload) -> None:
        run = self.run
        run.opened_total += payload.opened
        run.lives.extend(payload.lives)
        run.ports_given += payload.ports_given
        run.servers_started += payload.servers_started
        run.listening.extend(payload.listening)
        run.notes.extend(payload.notes)
        run.internal_errors.extend(
            text for text in payload.internal_errors if text not in run.internal_errors
        )
        run.collected += payload.collected
        for rule, hits in payload.rule_hits.items():
            self._rule_hits[rule] = self._rule_hits.get(rule, 0) + hits
        for reason, count in payload.ignored.items():
            run.ignored[reason] = run.ignored.get(reason, 0) + count
        self._attempt += 1
        for leak in payload.leaks:
            self._add_leak(leak)

    def _add_leak(self, leak: Leak) -> None:
        finding = leak.finding
        if finding.owner_kind == "import":
            # Every xdist worker imports every module: count the same line once.
            place = (finding.owner_name, finding.opened_at)
            if place in self._imports_seen and finding.worker:
                return
            self._imports_seen.add(place)
        self._leaks.append(leak)
        self._attempts.append(self._attempt)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Handle the end of an xdist worker. One that crashed has no output, and its last payload is lost."""
        output = getattr(node, "workeroutput", {})
        self._usage_error = self._usage_error or output.get(USAGE_ERROR)
        data = output.get(OUTPUT)
        if data is None:
            self._incomplete = self.run.incomplete = True
        else:
            self.gather(data)

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Note that only a part of the suite runs."""
        self._part_only = self._part_only or bool(items)

    def _note_span(self, report: pytest.TestReport) -> None:
        node = getattr(report, "node", None)
        worker = node.gateway.id if node is not None else None
        key = (report.nodeid, worker)
        self._starts.setdefault(key, report.start)
        if report.when == "call" or report.outcome != "passed":
            self._outcomes.setdefault(key, report.outcome)
            if report.failed:
                self._outcomes[key] = "failed" if report.when == "call" else "error"
        if report.when == "teardown":
            from pytest_sockets.reports.spans import TestSpan

            outcome = self._outcomes.pop(key, "passed")
            self.run.tests.append(
                TestSpan(report.nodeid, self._starts.pop(key), report.stop, outcome, worker)
            )

    # -- at the end ------------------------------------------------------------------------------------------

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
            self.record_error("finishing the reports", error)
        self._passed = session.exitstatus == pytest.ExitCode.OK
        if (self._without_teardown or self._strict_failure) and self._passed:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if self._usage_error is not None:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        return result

    def _finish(self, *, complete: bool) -> None:
        settings = self._settings
        hooked = bool(self._config.hook.pytest_sockets_report.get_hookimpls())
        if self._run is None and not settings.counts_every_test and not hooked:
            return
        run = self.run
        run.tests_seen = self._tests_seen
        if complete and not self._incomplete and not self._part_only:
            run.unmatched_rules = [rule for rule, hits in self._rule_hits.items() if hits == 0]
        known = [leak.known for leak in self._leaks]
        if settings.baseline is not None:
            known = self._finish_baseline(complete)
        for leak, is_known in zip(self._leaks, known, strict=True):
            run.findings.append(dataclasses.replace(leak.finding, known=is_known))
            if leak.mode == "error" and not leak.raised and not is_known:
                self._without_teardown.append(leak.finding)
        if run.findings:
            terminalreporter = self._config.pluginmanager.get_plugin("terminalreporter")
            _show_in_set_up_errors(terminalreporter)
            warned = [
                leak.finding
                for leak, is_known in zip(self._leaks, known, strict=True)
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

        path, ran = self._settings.baseline, self._ran
        assert path is not None
        assert ran is not None
        listed = baseline.read_baseline(path) if path.exists() else baseline.Baseline()
        self._complete_ran(ran, listed, complete)
        found = [
            baseline_check.Found(leak.finding, attempt, leak.finding.worker, leak.known)
            for leak, attempt in zip(self._leaks, self._attempts, strict=True)
        ]
        if self._settings.update_baseline:
            updated = baseline_check.update(found, listed, ran)
            writing.write_text(path, baseline.format_baseline(updated), writing.SHARED)
            self.run.notes.append(f"the baseline {path.name} was written: {_entries(len(updated.entries))}")
            return [True] * len(found)
        comparison = baseline_check.compare(found, listed, ran)
        self.run.baseline_changes = comparison.changes
        self._strict_failure = self._settings.baseline_strict and bool(comparison.changes)
        return list(comparison.known)

    def _complete_ran(self, ran: Ran, listed: Baseline, complete: bool) -> None:
        root = self._config.rootpath
        names = {entry.key.owner.partition(" ")[2].partition("::")[0] for entry in listed.entries}
        ran.existing_files = frozenset(name for name in names if name and (root / name).exists())
        ran.failed_files = {nodeid.partition("::")[0] for nodeid in self._failed_tests}
        ran.passed -= self._failed_tests
        if self._selection is not None:
            self._selection.complete(ran, stopped=not complete or self._incomplete)

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
            self.record_error("a pytest_sockets_report hook failed", error)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the section if there is one, one line of totals, and annotations."""
        try:
            self._summarize(terminalreporter)
            if self._settings.github and self._run is not None:
                from pytest_sockets.reports.github import annotation_lines

                for line in annotation_lines(self._run):
                    terminalreporter.write_line(line)
        except Exception as error:  # noqa: BLE001  (an internal error never changes the outcome)
            terminalreporter.write_line(
                f"pytest-sockets could not do all of its work: printing its summary: {type(error).__name__}: {error}"
            )

    def _summarize(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._usage_error is not None:
            terminalreporter.write_line(f"ERROR: {self._usage_error}", red=True)
        run = self._run
        if run is None:
            return
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
        elif self._passed and any(leak.raised for leak in self._leaks):
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


def wants_timeline(settings: Settings) -> bool:
    """Whether a report needs each test's time and each socket's life."""
    return any(path.suffix == ".html" for path in settings.reports)
