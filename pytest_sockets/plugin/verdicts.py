"""From suspects to findings, and from findings to what the mode demands: a warning, an error, or nothing."""

from __future__ import annotations

import collections
import dataclasses
import time
import warnings
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.errors import SocketLeakWarning
from pytest_sockets.leaks.findings import OPEN, UNCLOSED, Finding
from pytest_sockets.leaks.rules import Ignores
from pytest_sockets.plugin.batches import Batch, Leak
from pytest_sockets.plugin.policies import Policy, policy_for

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    import pytest

    from pytest_sockets.leaks.children import ChildListener, Children
    from pytest_sockets.leaks.findings import Owner
    from pytest_sockets.leaks.judgement import Judge, Verdict
    from pytest_sockets.leaks.ledger import Ledger
    from pytest_sockets.leaks.origins import Origin
    from pytest_sockets.leaks.records import Record
    from pytest_sockets.model import SocketEntry
    from pytest_sockets.plugin.settings import Settings

_MOST_EXPLAINED: Final = 25
"""For how many opening lines of a run the referrers are searched: each search looks at every object of the process."""
_MOST_TROUBLES: Final = 5


@dataclasses.dataclass(frozen=True, slots=True)
class Teardown:
    """The occasion: the test whose teardown has run, and who can err in it."""

    item: pytest.Item
    erring: Collection[Owner]
    previous: str
    """The test before: what ended in this one's set-up was last used there."""
    live: Callable[[], Sequence[tuple[Owner, list[Any]]]]


@dataclasses.dataclass(frozen=True, slots=True)
class _Unclosed:
    record: Record
    entry: SocketEntry


class Verdicts:
    """Judges, explains and publishes; the ledger's other side."""

    def __init__(
        self, config: pytest.Config, settings: Settings, ledger: Ledger, children: Children | None
    ) -> None:
        self._config = config
        self._settings = settings
        self._ledger = ledger
        self._children = children
        self._worker: str | None = getattr(config, "workerinput", {}).get("workerid")
        self._ignores = Ignores(settings.ignore)
        self._judge_made: Judge | None = None
        self._unclosed: collections.deque[_Unclosed] = collections.deque()
        self.watch: Any = None
        self._explained: dict[Origin | None, tuple[str, ...]] = {}
        self._known: Any = None
        self._rest = Batch()
        self._lives: list[Any] = []

    def begin(self) -> None:
        """The run begins; the finalizers are watched only if somebody wants to know."""
        if self._settings.unclosed != "off":
            from pytest_sockets.leaks.finalizers import FinalizerWatch

            self.watch = FinalizerWatch(self._note_unclosed)
            self.watch.start()
            self._config.add_cleanup(self.watch.stop)
        if self._settings.baseline is not None and not self._settings.update_baseline:
            from pytest_sockets.reports.baseline import read_baseline

            self._known = frozenset(read_baseline(self._settings.baseline))

    @property
    def eventful(self) -> bool:
        """Whether there may be something to say that the ledger does not know."""
        return bool(self._unclosed) or (self._children is not None and self._children.any_left)

    def trouble(self, text: str) -> None:
        """Something of ours failed: said once at the end, and the run goes on."""
        if len(self._rest.troubles) < _MOST_TROUBLES and text not in self._rest.troubles:
            self._rest.troubles.append(text)

    # -- occasions -------------------------------------------------------------------------------------------

    def judge_test(self, teardown: Teardown, batch: Batch) -> str:
        """Fill `batch`; returns the text with which this teardown must fail, or nothing."""
        item = teardown.item
        found = self._findings(teardown.live, lambda records: _drop_values(item, records), final=False)
        leaks = []
        for owner, finding, mode in found:
            at_test = owner in teardown.erring
            nodeid = item.nodeid if at_test or owner.kind == "test" else teardown.previous or item.nodeid
            leaks.append(self._leak(dataclasses.replace(finding, nodeid=nodeid), mode, can_err=at_test))
        batch.leaks.extend(leaks)
        batch.lives.extend(self._lives)
        self._lives.clear()
        self._warn(item, [leak.finding for leak in leaks if leak.mode == "warn" and not leak.known])
        errors = [leak.finding for leak in leaks if leak.raised]
        if not errors:
            return ""
        from pytest_sockets.reports.text import message

        return message(errors)

    def judge_rest(self, nodeid: str, live: Callable[[], Sequence[tuple[Owner, list[Any]]]]) -> None:
        """The session is over: whatever was put off is judged now; no teardown is left that could err."""
        for _, finding, mode in self._findings(live, lambda _: None, final=True):
            self._rest.leaks.append(
                self._leak(dataclasses.replace(finding, nodeid=nodeid), mode, can_err=False)
            )
        self._rest.lives.extend(self._lives)

    def finish(self) -> Batch:
        """What is left to tell when the process ends."""
        if self.watch is not None:
            self.watch.stop()
        self._rest.rule_hits = self._ignores.hits
        return self._rest

    def _leak(self, finding: Finding, mode: str, *, can_err: bool) -> Leak:
        known = self._known is not None and self._is_known(finding)
        return Leak(finding, mode, raised=mode == "error" and can_err and not known, known=known)

    def _is_known(self, finding: Finding) -> bool:
        from pytest_sockets.reports.baseline import key_of

        return key_of(finding) in self._known

    def _warn(self, item: pytest.Item, findings: list[Finding]) -> None:
        """A warning at the test's line that is recorded whatever the filters say, and is never raised."""
        if not findings:
            return
        from pytest_sockets.reports.text import short_message

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

    # -- findings --------------------------------------------------------------------------------------------

    def _findings(
        self,
        live: Callable[[], Sequence[tuple[Owner, list[Any]]]],
        drop: Callable[[Sequence[Record]], None],
        *,
        final: bool,
    ) -> list[tuple[Owner, Finding, str]]:
        policies: dict[Owner, Policy] = {}

        def policy_of(owner: Owner) -> Policy:
            if owner not in policies:
                policies[owner] = policy_for(owner.context, self._settings)
            return policies[owner]

        suspects = [record for record in self._ledger.suspects() if _counts(policy_of(record.opener))]
        found: list[tuple[Record, Owner, Finding]] = []
        if suspects:
            from pytest_sockets.leaks.judgement import Surroundings

            grace = max(policy_of(record.opener).grace for record in suspects)
            around = Surroundings(live, drop, self._settings.kinds, final)
            for verdict in self._judge.judge(suspects, around, grace):
                found.append(
                    (verdict.record, _named_owner(verdict.record, self._ledger), self._finding(verdict))
                )
        results = []
        for record, owner, finding in [*found, *self._unclosed_findings()]:
            policy = policy_of(owner)
            mode = policy.mode_of(finding.kind)
            if mode != "off" and not self._ignores.cover(finding, policy.ignore):
                results.append((owner, finding, mode))
                self._note_life(record, finding)
        results.extend(self._child_findings(policy_of))
        return results

    @property
    def _judge(self) -> Judge:
        if self._judge_made is None:
            from pytest_sockets.leaks.judgement import Judge

            self._judge_made = Judge(self._ledger)
        return self._judge_made

    def _finding(self, verdict: Verdict) -> Finding:
        record = verdict.record
        owner = _named_owner(record, self._ledger)
        return self._described(
            OPEN, owner, record, verdict.entry, held_by=self._held_by(record), note=verdict.note
        )

    def _described(
        self,
        kind: str,
        owner: Owner,
        record: Record,
        entry: SocketEntry,
        *,
        held_by: tuple[str, ...],
        note: str | None,
    ) -> Finding:
        places = self._ledger.places
        origin = record.origin
        return Finding(
            kind=kind,
            nodeid="",
            owner_kind=owner.kind,
            owner_name=owner.name,
            owner_scope=owner.scope,
            phase=record.phase,
            socket=entry,
            opened_at=origin.opened_at(places) if origin else None,
            stack=origin.stack(places) if origin else (),
            held_by=held_by,
            note=note,
            worker=self._worker,
        )

    def _held_by(self, record: Record) -> tuple[str, ...]:
        known = self._explained.get(record.origin)
        if known is not None:
            return known
        sock = record.ref()
        if sock is None or len(self._explained) >= _MOST_EXPLAINED:
            return ()
        from pytest_sockets.leaks.referrers import holders

        try:
            found = self._explained[record.origin] = holders(sock, self._ledger.places)
        finally:
            del sock
        return found

    def _note_unclosed(self, sock: Any) -> None:
        """Called by the interpreter's finalization of an open socket, in any thread."""
        record = self._ledger.dying(sock)
        entry = record.entry if record is not None and record.key is not None else None
        if entry is None and record is not None:
            from pytest_sockets.table.own_fds import describe

            entry = describe(sock.fileno())
        if record is not None and entry is not None:
            self._unclosed.append(_Unclosed(record, entry))

    def _unclosed_findings(self) -> list[tuple[Record, Owner, Finding]]:
        found = []
        told: set[Any] = set()
        while self._unclosed:
            record, entry = (dying := self._unclosed.popleft()).record, dying.entry
            if entry.protocol not in self._settings.kinds or entry.inode in told:
                continue
            told.add(entry.inode)
            if entry.remote is not None and self._judge.is_other_end(record, entry):
                continue
            owner = _named_owner(record, self._ledger)
            found.append(
                (record, owner, self._described(UNCLOSED, owner, record, entry, held_by=(), note=None))
            )
        return found

    def _child_findings(self, policy_of: Callable[[Owner], Policy]) -> list[tuple[Owner, Finding, str]]:
        if self._children is None or not self._children.any_left:
            return []
        found = []
        for listener in self._judge.judge_children(
            self._children, self._settings.kinds, self._settings.grace
        ):
            owner = listener.child.scope.owner
            policy = policy_of(owner)
            finding = self._child_finding(listener)
            if policy.leaks != "off" and not self._ignores.cover(finding, policy.ignore):
                found.append((owner, finding, policy.leaks))
        return found

    def _child_finding(self, listener: ChildListener) -> Finding:
        places = self._ledger.places
        (owner, phase), origin = listener.child.scope, listener.child.origin
        return Finding(
            kind=OPEN,
            nodeid="",
            owner_kind=owner.kind,
            owner_name=owner.name,
            owner_scope=owner.scope,
            phase=phase,
            socket=listener.entry,
            process=listener.command or f"pid {listener.child.pid}",
            opened_at=origin.opened_at(places) if origin else None,
            stack=origin.stack(places) if origin else (),
            worker=self._worker,
        )

    # -- the timeline ----------------------------------------------------------------------------------------

    def watch_lives(self) -> None:
        """Gather each socket's life, for a report with a timeline."""
        self._ledger.on_gone = self._note_life

    def _note_life(self, record: Record, finding: Finding | None = None) -> None:
        if self._ledger.on_gone is None:
            return
        from pytest_sockets.reports.run import SocketLife

        now = time.time()
        entry = finding.socket if finding is not None else None
        origin = record.origin
        self._lives.append(
            SocketLife(
                tuple_text=str(entry) if entry is not None else record.seen,
                protocol=entry.protocol if entry is not None else record.seen.partition(" ")[0],
                status=entry.status if entry is not None else "",
                opened=record.since or now,
                closed=None if finding is not None and finding.kind == OPEN else now,
                owner=str(_named_owner(record, self._ledger)),
                opened_at=origin.opened_at(self._ledger.places) if origin else None,
                leak=finding.kind if finding is not None else None,
                worker=self._worker,
                judged=now if finding is not None else None,
            )
        )


def _counts(policy: Policy) -> bool:
    return policy.leaks != "off" or policy.unclosed != "off"


def _named_owner(record: Record, ledger: Ledger) -> Owner:
    """Who is blamed: the fixture that keeps it, else who opened it, also when that waited for the session's end."""
    return record.opener if record.owner is ledger.session else record.owner


def _drop_values(item: pytest.Item, records: Sequence[Record]) -> None:
    """Let go of the fixture values that lead to these sockets.

    pytest drops `item.funcargs` right after the teardown hooks: what a fixture *returned* dies there, and would be
    called open here.
    """
    from pytest_sockets.leaks.reach import reaches

    values = getattr(item, "funcargs", None)
    if not values:
        return
    for name in [name for name, value in values.items() if reaches(value, records)]:
        del values[name]
