"""Gathers what the tests' processes tell, and shows it: exit status, summary section, report files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_sockets.plugin.hook_object import Part

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from pytest_sockets.leaks.findings import Finding
    from pytest_sockets.plugin.counts import Counts
    from pytest_sockets.plugin.payload import Batch, Leak
    from pytest_sockets.plugin.settings import Settings
    from pytest_sockets.reports.run import Run

OUTPUT: Final = "sockets"
"""The key of a process's last batch in an xdist worker's output; a report carries its batch in an attribute of this name."""
USAGE_ERROR: Final = "sockets_usage_error"
"""The key of a mark that cannot be used, found where the tests are collected."""
NOTHING: Final[dict[str, Any]] = {"opened": 0}
"""The batch of a process that has nothing to tell."""
COUNTS: Final[pytest.StashKey[Counts]] = pytest.StashKey()
"""`config.stash[COUNTS]`: what the fixtures gave out in this process; absent if that was nothing."""


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("pytest-sockets")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"


class Reporting(Part):
    """One run's evidence and what becomes of it."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._config = config
        self._settings = settings
        self._run: Run | None = None
        self._tests_seen = 0
        self._timeline = wants_timeline(settings)
        self._ran: set[str] | None = set() if settings.baseline is not None else None
        self._outcomes: dict[tuple[str, str | None], str] = {}
        self._starts: dict[tuple[str, str | None], float] = {}
        self._part_only = config.args_source is pytest.Config.ArgsSource.ARGS
        self._rule_hits: dict[str, int] = {}
        self._imports_seen: set[tuple[str, object]] = set()
        self._untold: list[Finding] = []
        """Leaks that must fail the run, for which no teardown could err: nothing but the summary tells of them."""
        self._passed = False
        self._incomplete = False
        self._usage_error: str | None = None
        self._leaks: list[Leak] = []

    @property
    def run(self) -> Run:
        """What was gathered; made when there is something to gather."""
        if self._run is None:
            from pytest_sockets.reports.run import Run

            self._run = Run(_version() if self._settings.reports else "", self._settings.leaks)
        return self._run

    # -- gathering -------------------------------------------------------------------------------------------

    def take(self, report: pytest.TestReport) -> None:
        """Take the plain data from the teardown report, on whatever process the test ran."""
        if self._timeline:
            self._note_span(report)
        if report.when != "teardown":
            return
        self._tests_seen += 1
        if self._ran is not None:
            self._ran.add(report.nodeid)
        data = getattr(report, OUTPUT, None)
        if data is not None:
            self.run.opened_sockets += data["opened"] > 0
            self.gather(data)

    def gather(self, data: dict[str, Any]) -> None:
        """One process's batch; one that cannot be read becomes one line."""
        if data == NOTHING:
            return
        if data.keys() == NOTHING.keys():  # a test that closed what it opened: the usual case
            self.run.opened_total += data["opened"]
            return
        try:
            from pytest_sockets.plugin.payload import Batch

            self._gather(Batch.from_json(data))
        except Exception as error:  # noqa: BLE001  (our own trouble never changes the outcome)
            self.trouble("gathering what the tests left", error)

    def trouble(self, what: str, error: Exception) -> None:
        """Something of ours failed: said once at the end, and the run goes on."""
        text = f"{what}: {type(error).__name__}: {error}"
        if text not in self.run.troubles:
            self.run.troubles.append(text)

    def _gather(self, batch: Batch) -> None:
        run = self.run
        run.opened_total += batch.opened
        run.lives.extend(batch.lives)
        run.ports_given += batch.ports_given
        run.servers_started += batch.servers_started
        run.listening.extend(batch.listening)
        run.notes.extend(batch.notes)
        run.troubles.extend(trouble for trouble in batch.troubles if trouble not in run.troubles)
        for rule, hits in batch.rule_hits.items():
            self._rule_hits[rule] = self._rule_hits.get(rule, 0) + hits
        for leak in batch.leaks:
            self._take(leak)

    def _take(self, leak: Leak) -> None:
        finding = leak.finding
        if finding.owner_kind == "import":
            # Every xdist worker imports every module: the same line counts once.
            place = (finding.owner_name, finding.opened_at)
            if place in self._imports_seen and finding.worker:
                return
            self._imports_seen.add(place)
        self._leaks.append(leak)
        if not leak.known:
            self.run.findings.append(finding)
            if leak.mode == "error" and not leak.raised:
                self._untold.append(finding)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """An xdist worker has ended; one that crashed has no output, and its last batch is lost."""
        output = getattr(node, "workeroutput", {})
        self._usage_error = self._usage_error or output.get(USAGE_ERROR)
        data = output.get(OUTPUT)
        if data is None:
            self._incomplete = True
        else:
            self.gather(data)

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """A part of the suite says nothing of the rest."""
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
        """Compare with the baseline, write the reports, and let the exit status show what no teardown could."""
        result = yield
        stopped = bool(session.shouldstop or session.shouldfail)
        try:
            self._finish(complete=not stopped)
        except Exception as error:  # noqa: BLE001  (our own trouble never changes the outcome)
            self.trouble("finishing the reports", error)
        self._passed = session.exitstatus == pytest.ExitCode.OK
        if self._untold and self._passed:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if self._usage_error is not None:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        return result

    def _finish(self, *, complete: bool) -> None:
        if self._run is None and not self._settings.counts_every_test:
            return
        run = self.run
        if run.findings:
            _show_in_set_up_errors(self._config.pluginmanager.get_plugin("terminalreporter"))
        run.tests_seen = self._tests_seen
        if complete and not self._incomplete and not self._part_only:
            run.unmatched_rules = [rule for rule, hits in self._rule_hits.items() if hits == 0]
        if self._settings.baseline is not None:
            self._finish_baseline(complete)
        if self._settings.reports:
            from pytest_sockets.reports.writing import write_reports

            run.troubles.extend(write_reports(run, self._settings.reports))

    def _finish_baseline(self, complete: bool) -> None:
        from pytest_sockets.reports import baseline, writing

        path = self._settings.baseline
        assert path is not None
        ran = None if complete and not self._part_only and not self._incomplete else self._ran
        findings = [leak.finding for leak in self._leaks]
        listed = baseline.read_baseline(path) if path.exists() else ()
        if self._settings.update_baseline:
            entries = baseline.update(listed, findings, ran=ran)
            writing.write_text(path, baseline.format_baseline(entries), writing.SHARED)
            self.run.notes.append(f"the baseline {path.name} was written: {len(entries)} known leaks")
            self._untold.clear()
            return
        comparison = baseline.compare(findings, listed, ran=ran)
        self.run.known_leaks = len(comparison.known)
        self.run.vanished = [str(entry) for entry in comparison.vanished]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The section, if there is something to say, and one line of totals."""
        try:
            self._summarize(terminalreporter)
        except Exception as error:  # noqa: BLE001  (our own trouble never changes the outcome)
            terminalreporter.write_line(
                f"pytest-sockets could not do all of its work: printing its summary: {type(error).__name__}: {error}"
            )

    def _summarize(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._usage_error is not None:
            terminalreporter.write_line(f"ERROR: {self._usage_error}", red=True)
        run = self._run
        if run is None:
            return
        if run.eventful:
            self._write_section(terminalreporter, run)
        if run.opened_total or run.ports_given or run.servers_started:
            terminalreporter.write_line(run.totals())

    def _write_section(self, terminalreporter: pytest.TerminalReporter, run: Run) -> None:
        from pytest_sockets.reports import text

        terminalreporter.section(text.title(run), yellow=not self._untold, red=bool(self._untold))
        for line in text.summary(run):
            terminalreporter.write_line(line)
        if self._untold:
            terminalreporter.write_line(text.FAILED_WITHOUT_TEARDOWN, red=True)
            for line in ("", *text.message(self._untold).splitlines()):
                terminalreporter.write_line(line, red=True)
        elif self._passed and any(leak.raised for leak in self._leaks):
            terminalreporter.write_line(text.PASSED_WHEN_RERUN)


def _show_in_set_up_errors(terminalreporter: pytest.TerminalReporter | None) -> None:
    """pytest shows what a teardown's report says below a failed call, and not below a failed set-up."""
    stats = terminalreporter.stats if terminalreporter is not None else {}
    failed = {report.nodeid: report for report in stats.get("error", ()) if report.when == "setup"}
    for report in stats.get("", ()) if failed else ():
        if report.when == "teardown" and report.nodeid in failed:
            sections = [one for one in report.sections if one[0] == "Captured sockets teardown"]
            failed[report.nodeid].sections.extend(sections)


def wants_timeline(settings: Settings) -> bool:
    """Whether a report needs each test's time and each socket's life."""
    return any(path.suffix == ".html" for path in settings.reports)
