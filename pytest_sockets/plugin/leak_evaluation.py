"""From owners that have ended to findings, and from findings to what the mode demands: a warning, an error, or nothing.

Imported when there is something to judge for the first time. The pipeline is `LeakEvaluation._found`: suspects, judgement,
findings, filter.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_sockets.leaks.finding_builder import FindingBuilder
from pytest_sockets.leaks.judgement import LONGEST_WAITING, Judge, Surroundings
from pytest_sockets.leaks.outside import alarm_paused
from pytest_sockets.leaks.owner import Owner
from pytest_sockets.originals import wall_clock
from pytest_sockets.plugin.dropped_sockets import DroppedSockets
from pytest_sockets.plugin.finding_filter import FindingFilter
from pytest_sockets.plugin.leak_warning import warn
from pytest_sockets.plugin.owner_place import place_of
from pytest_sockets.plugin.payload import Leak, Payload
from pytest_sockets.plugin.policies import Policies
from pytest_sockets.reports.run import number

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    import pytest

    from pytest_sockets.leaks.children import Children
    from pytest_sockets.leaks.finalizers import FinalizerWatch
    from pytest_sockets.leaks.findings import Finding
    from pytest_sockets.leaks.records import Record
    from pytest_sockets.leaks.registry import Registry
    from pytest_sockets.plugin.settings import Settings
    from pytest_sockets.plugin.socket_lives import SocketLives
    from pytest_sockets.reports.spans import SocketLife

    Live = Callable[[], Sequence[tuple[Owner, list[Any]]]]


class _Found(NamedTuple):
    owner: Owner
    finding: Finding
    record: Record | None = None
    """None for a socket of a child process."""


class LeakEvaluation:
    """Judges, explains and reports; the registry's other side."""

    def __init__(
        self, config: pytest.Config, settings: Settings, ledger: Registry, children: Children | None
    ) -> None:
        self._config = config
        self._settings = settings
        self._ledger = ledger
        self._children = children
        self._builder = FindingBuilder(ledger, getattr(config, "workerinput", {}).get("workerid"))
        self._judge = Judge(ledger, settings.kinds)
        self._filter = FindingFilter(config, settings.ignore)
        self._dropped = DroppedSockets(ledger, settings.kinds)
        self._known: _KnownLeaks | None = None
        self._lives: SocketLives | None = None
        self._late: list[Leak] = []
        """What was found when the session was over."""

    def begin(self, *, lives: bool) -> None:
        """The run begins; finalizers and the `lives` of sockets are watched only if somebody wants to know."""
        settings = self._settings
        if lives:
            from pytest_sockets.plugin.socket_lives import SocketLives

            self._lives = SocketLives(self._ledger, self._builder, self._builder.worker)
        if settings.unclosed != "off":
            self._config.add_cleanup(self._dropped.begin().stop)
        if settings.baseline is not None and not settings.update_baseline:
            self._known = _KnownLeaks(settings.baseline)

    @property
    def watch(self) -> FinalizerWatch | None:
        """What watches finalizers, if anything does."""
        return self._dropped.watch

    @property
    def eventful(self) -> bool:
        """Whether there may be something to report that the registry does not know."""
        return self._dropped.any_seen

    # -- occasions -------------------------------------------------------------------------------------------

    def judge_test(
        self, item: pytest.Item, erring: Collection[Owner], previous: str, live: Live
    ) -> list[Leak]:
        """Return the leaks after the teardown of `item`, in which `erring` can err.

        What ended in this test's set-up was last used in the `previous` one.
        """
        leaks = []
        if self._known is not None:
            self._known.attempt += 1
        for owner, finding, mode in self._found(live, getattr(item, "funcargs", None) or {}, final=False):
            at_test = owner in erring or owner.context is item
            nodeid = item.nodeid if at_test or owner.kind == "test" else previous or item.nodeid
            leaks.append(self._leak(finding, nodeid, mode, can_err=at_test))
        warned = [leak.finding for leak in leaks if leak.mode == "warn" and not leak.known]
        warn(item, warned, self._ledger.places)
        return leaks

    def take_lives(self) -> Sequence[SocketLife]:
        """Return the lives of the sockets that ended since the last call, if a report shows them."""
        return self._lives.take() if self._lives is not None else ()

    @alarm_paused()
    def judge_rest(self, nodeid: str, live: Live) -> None:
        """The session is over: whatever was put off is judged now; no teardown is left that could err."""
        for _, finding, mode in self._found(live, {}, final=True):
            self._late.append(self._leak(finding, nodeid, mode, can_err=False))

    def finish(self, untold: int) -> Payload:
        """What is left to tell when the process ends, with so many sockets that were opened outside of tests."""
        if self.watch is not None:
            self.watch.stop()
        rest = Payload(opened=untold, leaks=self._late, collected=self._dropped.collected)
        rest.lives.extend(self.take_lives())
        rest.rule_hits, rest.ignored = self._filter.ignores.hits, self._filter.ignores.ignored
        rest.internal_errors.extend(self._filter.errors)
        if self._judge.ran_out_of_patience:
            rest.notes.append(
                f"waiting for sockets to close was cut short after {LONGEST_WAITING:.0f} s in all; lower --sockets-grace"
            )
        if cut_short := self._builder.budget.cut_short:
            rest.notes.append(
                f"the search for what still refers to a socket was cut short in {number(cut_short, 'case')}"
            )
        return rest

    def _leak(self, finding: Finding, nodeid: str, mode: str, *, can_err: bool) -> Leak:
        finding = dataclasses.replace(finding, nodeid=nodeid)
        known = self._known is not None and self._known.includes(finding)
        return Leak(finding, mode, raised=mode == "error" and can_err and not known, known=known)

    # -- the pipeline ----------------------------------------------------------------------------------------

    def _found(
        self, live: Live, values: dict[str, Any], *, final: bool
    ) -> Iterator[tuple[Owner, Finding, str]]:
        """Each finding that is to be reported, with its owner and the mode that applies to it."""
        policies = Policies(self._settings)
        ended = wall_clock()
        suspects = self._judge.after_young_garbage(self._suspects(policies))
        children = self._children if self._children is not None and self._children.any_left else None
        around = Surroundings(live() if suspects or children is not None else (), values, final)
        found = self._judged(suspects, around, policies)
        if children is not None:
            found += self._left_by(children, around, policies)
        for owner, finding, record in found:
            policy = policies[owner]
            mode = policy.mode_of(finding.kind)
            placed = self._placed(owner, finding, record, ended)
            if mode != "off" and self._filter.passes(owner, placed, policy.ignore):
                if record is not None and self._lives is not None:
                    self._lives.leaked(record, finding.socket, finding.kind)
                yield owner, placed, mode

    def _suspects(self, policies: Policies) -> list[Record]:
        suspects = self._ledger.suspects()
        for record in suspects:
            _give_to_late_fixture(record)
        return [record for record in suspects if policies[record.opener].counts]

    def _judged(self, suspects: list[Record], around: Surroundings, policies: Policies) -> list[_Found]:
        builder = self._builder
        found: list[_Found] = []
        if suspects:
            judgement = self._judge.judge(
                suspects, around, max(policies[record.opener].grace for record in suspects)
            )
            made = [(leak.record, builder.open(leak)) for leak in judgement.leaks]
            made += [(leak.record, builder.unclosed(leak.record, leak.entry)) for leak in judgement.dropped]
            found = [_Found(builder.named_owner(record), finding, record) for record, finding in made]
        self._dropped.note_collected(self._judge.take_collected())
        for record, entry in self._dropped.take():
            if entry.remote is None or not self._judge.ends.is_other_end(record, entry):
                found.append(_Found(builder.named_owner(record), builder.unclosed(record, entry), record))
        self._dropped.reported.update(one.record.key for one in found if one.record is not None)
        return found

    def _left_by(self, children: Children, around: Surroundings, policies: Policies) -> list[_Found]:
        owner_of = self._builder.owner_of_child
        graces = [policies[owner_of(child)].grace for child in children.left]
        listeners = self._judge.judge_children(children, around, max(graces, default=self._settings.grace))
        return [_Found(owner_of(one.child), self._builder.child(one)) for one in listeners]

    def _placed(self, owner: Owner, finding: Finding, record: Record | None, ended: float) -> Finding:
        file, line = place_of(owner, self._config.rootpath)
        return dataclasses.replace(
            finding,
            owner_file=file,
            owner_line=line,
            owner_parameter=owner.parameter or None,
            opened=record.created if record is not None else None,
            owner_ended=ended,
        )


class _KnownLeaks:
    """Counts findings against the baseline."""

    def __init__(self, path: Path) -> None:
        from pytest_sockets.reports.baseline import read_baseline
        from pytest_sockets.reports.baseline_check import Ratchet

        self._ratchet = Ratchet(read_baseline(path))
        self.attempt = 0
        """Each teardown of a test is one; of a test that is run again it is another."""

    def includes(self, finding: Finding) -> bool:
        """Whether the baseline allows this one, too."""
        return bool(self._ratchet.add(finding, self.attempt, None))


def _give_to_late_fixture(record: Record) -> None:
    """pytest-trio runs its fixtures inside the test's call: a fixture's own function on the stack tells them apart."""
    test = record.opener
    info = getattr(test.context, "_fixtureinfo", None) if test.kind == "test" else None
    if info is None or record.call_site is None or record.phase != "call":
        return
    codes = record.call_site.codes
    for name, definitions in info.name2fixturedefs.items():
        for definition in definitions:
            if getattr(definition.func, "__code__", None) in codes and definition.scope == "function":
                record.owner = record.opener = Owner("fixture", name, "function", test.context)
                record.phase = "setup"
                return
