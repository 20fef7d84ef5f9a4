"""From suspects to findings, and from findings to what the mode demands: a warning, an error, or nothing.

Imported when there is something to judge for the first time.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sockets.errors import SocketLeakWarning
from pytest_sockets.leaks.finding_builder import Explainer
from pytest_sockets.leaks.judgement import LONGEST_WAITING, Judge, Surroundings
from pytest_sockets.leaks.owner import Owner
from pytest_sockets.leaks.rules import Ignores
from pytest_sockets.originals import wall_clock
from pytest_sockets.plugin.dropped_sockets import DroppedSockets
from pytest_sockets.plugin.owner_place import place_of
from pytest_sockets.plugin.payload import Batch, Leak
from pytest_sockets.plugin.policies import Policy, policy_for
from pytest_sockets.reports.text import short_message

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from pytest_sockets.leaks.children import Children
    from pytest_sockets.leaks.findings import Finding
    from pytest_sockets.leaks.records import Record
    from pytest_sockets.leaks.registry import Registry
    from pytest_sockets.leaks.timeline import Life
    from pytest_sockets.model import SocketEntry
    from pytest_sockets.plugin.settings import Settings
    from pytest_sockets.reports.spans import SocketLife


class Verdicts:
    """Judges, explains and publishes; the ledger's other side."""

    def __init__(
        self, config: pytest.Config, settings: Settings, ledger: Registry, children: Children | None
    ) -> None:
        self._config = config
        self._settings = settings
        self._ledger = ledger
        self._children = children
        self._worker: str | None = getattr(config, "workerinput", {}).get("workerid")
        self._explainer = Explainer(ledger, self._worker)
        self._ignores = Ignores(settings.ignore)
        self._judge = Judge(ledger, settings.kinds)
        self._reported: set[tuple[int, int] | None] = set()
        self._dropped = DroppedSockets(ledger, watched=settings.unclosed != "off")
        self.watch: Any = None
        self._known: Any = None
        """With a baseline: the `Ratchet` that counts against it."""
        self._attempt = 0
        """Each teardown of a test is one; of a test that is run again it is another."""
        self._rest = Batch()
        self._lives: list[SocketLife] = []

    def begin(self, *, lives: bool) -> None:
        """The run begins; finalizers and the `lives` of sockets are watched only if somebody wants to know."""
        if lives:
            self._watch_lives()
        if self._settings.unclosed != "off":
            from pytest_sockets.leaks.finalizers import FinalizerWatch

            self.watch = FinalizerWatch(self._dropped.note_dying, self._dropped.note_opened)
            self.watch.start()
            self._config.add_cleanup(self.watch.stop)
        if self._settings.baseline is not None and not self._settings.update_baseline:
            from pytest_sockets.reports.baseline import read_baseline
            from pytest_sockets.reports.baseline_check import Ratchet

            self._known = Ratchet(read_baseline(self._settings.baseline))

    @property
    def eventful(self) -> bool:
        """Whether there may be something to say that the ledger does not know."""
        return self._dropped.any_seen

    # -- occasions -------------------------------------------------------------------------------------------

    def judge_test(
        self,
        item: pytest.Item,
        erring: Collection[Owner],
        previous: str,
        live: Callable[[], Sequence[tuple[Owner, list[Any]]]],
        batch: Batch,
    ) -> list[Finding]:
        """Fill `batch` after the teardown of `item`, in which `erring` can err. Returns that for which it must fail.

        What ended in this test's set-up was last used in the `previous` one.
        """
        self._attempt += 1
        values = getattr(item, "funcargs", None) or {}
        found = self._findings(live, values, final=False)
        leaks = []
        for owner, finding, mode in found:
            at_test = owner in erring or owner.context is item
            nodeid = item.nodeid if at_test or owner.kind == "test" else previous or item.nodeid
            leaks.append(self._leak(dataclasses.replace(finding, nodeid=nodeid), mode, can_err=at_test))
        batch.leaks.extend(leaks)
        batch.lives.extend(self._lives)
        self._lives.clear()
        self._warn(item, [leak.finding for leak in leaks if leak.mode == "warn" and not leak.known])
        return [leak.finding for leak in leaks if leak.raised]

    def judge_rest(self, nodeid: str, live: Callable[[], Sequence[tuple[Owner, list[Any]]]]) -> None:
        """The session is over: whatever was put off is judged now; no teardown is left that could err."""
        for _, finding, mode in self._findings(live, {}, final=True):
            self._rest.leaks.append(
                self._leak(dataclasses.replace(finding, nodeid=nodeid), mode, can_err=False)
            )

    def finish(self, untold: int) -> Batch:
        """What is left to tell when the process ends, with so many sockets that were opened outside of tests."""
        if self.watch is not None:
            self.watch.stop()
        self._rest.lives.extend(self._lives)
        self._rest.opened = untold
        self._rest.rule_hits = self._ignores.hits
        self._rest.collected = self._dropped.collected
        if self._judge.ran_out_of_patience:
            self._rest.notes.append(
                f"waiting for sockets to close was cut short after {LONGEST_WAITING:.0f} s in all; lower --sockets-grace"
            )
        if self._explainer.budget.cut_short:
            self._rest.notes.append(
                f"the search for what still refers to a socket was cut short in {self._explainer.budget.cut_short} cases"
            )
        self._rest.ignored = self._ignores.ignored
        return self._rest

    def _leak(self, finding: Finding, mode: str, *, can_err: bool) -> Leak:
        known = self._known is not None and self._is_known(finding)
        return Leak(finding, mode, raised=mode == "error" and can_err and not known, known=known)

    def _is_known(self, finding: Finding) -> bool:
        return bool(self._known.add(finding, self._attempt, None))

    def _warn(self, item: pytest.Item, findings: list[Finding]) -> None:
        """A warning at the test's line that is recorded whatever the filters say, and is never raised.

        Where somebody counts warnings, as `--max-warnings` does, it could change an outcome: then the section must do.
        """
        if not findings or self._counts_warnings():
            return
        path, line, _ = item.location
        warning = SocketLeakWarning(short_message(findings))
        filename = str(item.path) if path else item.nodeid
        try:
            warnings.warn_explicit(warning, None, filename, (line or 0) + 1)
        except SocketLeakWarning:  # filterwarnings = error: the mode is warn, so the outcome stays
            recorded = warnings.WarningMessage(warning, SocketLeakWarning, filename, (line or 0) + 1)
            self._config.hook.pytest_warning_recorded.call_historic(
                kwargs={
                    "warning_message": recorded,
                    "nodeid": item.nodeid,
                    "when": "runtest",
                    "location": None,
                }
            )

    def _counts_warnings(self) -> bool:
        config = self._config
        try:
            limited = (
                config.getoption("max_warnings", None) is not None
                or config.getini("max_warnings") is not None
            )
        except (KeyError, ValueError):  # pytest before 9
            limited = False
        places = self._ledger.places
        hooks = config.hook.pytest_warning_recorded.get_hookimpls()
        return limited or any(places.is_users(impl.function.__code__.co_filename) for impl in hooks)

    # -- findings --------------------------------------------------------------------------------------------

    def _findings(
        self,
        live: Callable[[], Sequence[tuple[Owner, list[Any]]]],
        values: dict[str, Any],
        *,
        final: bool,
    ) -> list[tuple[Owner, Finding, str]]:
        policies: dict[Owner, Policy] = {}
        ended = wall_clock()

        def policy_of(owner: Owner) -> Policy:
            if owner not in policies:
                policies[owner] = policy_for(owner.context, self._settings)
            return policies[owner]

        explainer = self._explainer
        suspects = self._ledger.suspects()
        for record in suspects:
            _give_to_late_fixture(record)
        suspects = [record for record in suspects if _counts(policy_of(record.opener))]
        found: list[tuple[Record | None, Owner, Finding]] = []
        suspects = self._judge.after_young_garbage(suspects)
        children = self._children if self._children is not None and self._children.any_left else None
        around = Surroundings(live() if suspects or children else (), values, final)
        if suspects:
            grace = max(policy_of(record.opener).grace for record in suspects)
            judgement = self._judge.judge(suspects, around, grace)
            for verdict in judgement.leaks:
                found.append((verdict.record, explainer.named_owner(verdict.record), explainer.open(verdict)))
            for verdict in judgement.dropped:
                finding = explainer.unclosed(verdict.record, verdict.entry)
                found.append((verdict.record, explainer.named_owner(verdict.record), finding))
        for record, entry in self._take_dropped():
            found.append((record, explainer.named_owner(record), explainer.unclosed(record, entry)))
        self._reported.update(record.key for record, _, _ in found if record is not None)
        if children is not None:
            owners = [explainer.owner_of_child(child) for child in children.left]
            grace = max((policy_of(owner).grace for owner in owners), default=self._settings.grace)
            for listener in self._judge.judge_children(children, around, grace):
                found.append((None, explainer.owner_of_child(listener.child), explainer.child(listener)))
        results = []
        for leaked, owner, finding in found:
            policy = policy_of(owner)
            mode = policy.mode_of(finding.kind)
            if mode == "off" or self._ignores.cover(finding, policy.ignore):
                continue
            finding = self._placed(owner, finding, leaked.created if leaked is not None else None, ended)
            if not self._passes_hooks(owner, finding):
                continue
            if leaked is not None and self._ledger.timeline is not None:
                self._note_life(self._ledger.timeline.leaked(leaked, finding.socket), finding.kind)
            results.append((owner, finding, mode))
        return results

    def _placed(self, owner: Owner, finding: Finding, created: float | None, ended: float) -> Finding:
        file, line = place_of(owner, self._config.rootpath)
        return dataclasses.replace(
            finding,
            owner_file=file,
            owner_line=line,
            owner_parameter=owner.parameter or None,
            opened=created,
            owner_ended=ended,
        )

    def _passes_hooks(self, owner: Owner, finding: Finding) -> bool:
        """Ask the `pytest_sockets_finding` hooks; one that fails drops nothing."""
        # A conftest's hook is called for what belongs to its folder.
        node = owner.context
        hook = node.ihook if isinstance(node, pytest.Item | pytest.Collector) else self._config.hook
        try:
            answers = hook.pytest_sockets_finding(finding=finding, config=self._config)
        except Exception as error:  # noqa: BLE001  (the results of the tests are worth more)
            text = f"a pytest_sockets_finding hook failed: {type(error).__name__}: {error}"
            if text not in self._rest.troubles:
                self._rest.troubles.append(text)
            return True
        if any(answer is False for answer in answers):
            self._ignores.count("hook pytest_sockets_finding")
            return False
        return True

    def _take_dropped(self) -> list[tuple[Record, SocketEntry]]:
        """Of each connection one end."""
        self._dropped.note_collected(self._judge.take_collected())
        return [
            (record, entry)
            for record, entry in self._dropped.take(self._reported)
            if entry.protocol in self._settings.kinds
            and (entry.remote is None or not self._judge.is_other_end(record, entry))
        ]

    # -- the timeline --------------------------------------------------------------------------------

    def _watch_lives(self) -> None:
        """Gather each socket's life, for a report with a timeline."""
        from pytest_sockets.leaks.timeline import Timeline

        self._ledger.timeline = Timeline(self._note_life, self._ledger.newest)

    def _note_life(self, life: Life, leak: str | None = None) -> None:
        from pytest_sockets.reports.spans import SocketLife

        origin = life.record.origin
        self._lives.append(
            SocketLife(
                tuple_text=life.text,
                protocol=life.protocol,
                status=life.status,
                opened=life.opened,
                closed=life.closed,
                owner=str(self._explainer.named_owner(life.record)),
                opened_at=origin.opened_at(self._ledger.places) if origin else None,
                leak=leak,
                worker=self._worker,
                judged=life.seen if leak else None,
            )
        )


def _counts(policy: Policy) -> bool:
    return policy.leaks != "off" or policy.unclosed != "off"


def _give_to_late_fixture(record: Record) -> None:
    """pytest-trio runs its fixtures inside the test's call: a fixture's own function on the stack tells them apart."""
    test = record.opener
    info = getattr(test.context, "_fixtureinfo", None) if test.kind == "test" else None
    if info is None or record.origin is None or record.phase != "call":
        return
    codes = record.origin.codes
    for name, definitions in info.name2fixturedefs.items():
        for definition in definitions:
            if getattr(definition.func, "__code__", None) in codes and definition.scope == "function":
                record.owner = record.opener = Owner("fixture", name, "function", test.context)
                record.phase = "setup"
                return
