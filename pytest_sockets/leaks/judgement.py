"""When is a socket that is open after its owner's teardown a leak?

Only suspects come here, so a clean test pays nothing. The steps, each cheaper than a false alarm and only for what is left:
1. collect the young generations: what they free was garbage, not open;
2. reachable from a live wider fixture (a lazily filled pool): it is that fixture's;
3. kept only by fixture values that pytest drops after the report: it dies then;
4. a short wait: of 487 late closers 468 were gone within 12 ms;
5. collect all generations;
6. wait out the grace time, if anything in this process could still close it;
7. a socket that an idle event loop of a wider scope will close on its own waits for the end of the session;
8. the two ends of one connection count once.
"""

from __future__ import annotations

import dataclasses
import gc
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.leaks import kinds, loop_transports, reachability
from pytest_sockets.leaks.connection_ends import ConnectionEnds, living_end
from pytest_sockets.originals import monotonic
from pytest_sockets.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_sockets.leaks.call_site import CallSite
    from pytest_sockets.leaks.child_listeners import ChildListener
    from pytest_sockets.leaks.children import Children
    from pytest_sockets.leaks.client_libraries import Clients
    from pytest_sockets.leaks.connection_ends import Verdict
    from pytest_sockets.leaks.owner import Owner
    from pytest_sockets.leaks.records import Record
    from pytest_sockets.leaks.registry import Registry
    from pytest_sockets.model import SocketEntry

SHORT_WAIT: Final = 0.02
STUBBORN_WAIT: Final = 0.05
"""For an opening line whose sockets once outlasted the whole grace time. It limits the cost of 500 tests that leak alike."""
LONGEST_WAITING: Final = 30.0
"""Seconds that the grace waits of a run may take. After that, each wait is as short as for a stubborn line."""


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """The objects that could still close a suspect."""

    live: Sequence[tuple[Owner, list[Any]]] = ()
    """The owners that are alive, narrowest scope first, with the objects that each of them keeps."""
    values: dict[str, Any] = dataclasses.field(default_factory=dict)
    """The fixture values of the finished test, which pytest drops after the report."""
    final: bool = False
    """Whether the session is over, so that nothing can be put off."""


@dataclasses.dataclass(frozen=True, slots=True)
class Judgement:
    """The leaks among the suspects, and the sockets that only the interpreter closes."""

    leaks: Sequence[Verdict] = ()
    dropped: Sequence[Verdict] = ()
    """Sockets that die with the fixture values of the finished test. No code closed them."""


class Judge:
    """Remembers between judgements which opening lines are stubborn and which connection ends were named."""

    def __init__(self, ledger: Registry, watched: Sequence[str] = kinds.DEFAULT) -> None:
        self._ledger = ledger
        self._kinds = watched
        self._stubborn: set[CallSite] = set()
        self.ends = ConnectionEnds()
        self._collected: list[tuple[Record, SocketEntry | None]] = []
        self._waited = 0.0
        self._clients: Clients | None = None

    def after_young_garbage(self, suspects: Iterable[Record]) -> list[Record]:
        """Collect the young generations. Return the watched suspects that are still open. Takes less than a millisecond."""
        left = [record for record in suspects if self._is_watched(record)]
        for generation in (0, 1):
            left = self._after_collecting(left, generation)
        return left

    def judge(self, left: list[Record], around: Surroundings, grace: float) -> Judgement:
        """Judge the suspects that young collections left. If there are any, it may wait `grace` seconds and collect."""
        left = self._without_kept(left, around)
        left, dying = self._without_dying(left, around)
        left = self._after_waiting(left, min(grace, SHORT_WAIT))
        left = self._after_collecting(left, 2)
        left = self._after_waiting(left, self._patience(left, grace))
        if left and not around.final:
            left = self._without_deferred(left)
        verdicts = self.ends.each_once(left)
        self._stubborn.update(filter(None, (verdict.record.call_site for verdict in verdicts)))
        return Judgement(verdicts, self.ends.each_once(dying))

    def take_collected(self) -> list[tuple[Record, SocketEntry | None]]:
        """Return the sockets that only the garbage collector has closed since the last call, as they were before."""
        collected, self._collected = self._collected, []
        return collected

    @property
    def ran_out_of_patience(self) -> bool:
        """Whether the grace waits of this run have used up their time."""
        return self._waited >= LONGEST_WAITING

    def judge_children(self, children: Children, around: Surroundings, grace: float) -> list[ChildListener]:
        """Return the sockets on which children of ended owners still listen after `grace` seconds, each once."""

        def listening() -> list[ChildListener]:
            return children.listeners(self._ledger.listed_inodes())

        left = listening()
        if left:
            kept = reachability.keepers_of_processes({listener.child.pid for listener in left}, around.live)
            for listener in left:
                if listener.child.pid in kept:
                    children.keep(listener, kept[listener.child.pid])
            left = listening()
        if left:
            wait_until(lambda: not listening(), grace)
            left = listening()
        for listener in left:
            children.mark_reported(listener)
        return left

    def _is_watched(self, record: Record) -> bool:
        if record.call_site is not None and record.call_site.is_a_test_tools:
            return False
        entry = record.entry
        # A TCP socket that is neither bound nor connected has no port, but it holds a descriptor. So it counts.
        return entry is not None and kinds.watches(self._kinds, entry)

    def _after_collecting(self, records: list[Record], generation: int) -> list[Record]:
        if not records:
            return records
        # With `unclosed`, finalizers report the sockets of Python objects. Only sockets of C code need their address here.
        before = [(record, record.entry if record.call_site is None else None) for record in records]
        gc.collect(generation)
        left = self._still_open(records)
        self._collected += [(record, entry) for record, entry in before if record not in left]
        return left

    def _without_kept(self, records: list[Record], around: Surroundings) -> list[Record]:
        if not records:
            return records
        kept = reachability.keepers(records, around.live)
        nameless = [record for record in records if record.call_site is None and record not in kept]
        if nameless:
            if self._clients is None:
                from pytest_sockets.leaks.client_libraries import Clients

                self._clients = Clients()
            kept |= self._clients.owners(nameless, around.live)
        for record, owner in kept.items():
            self._ledger.reassign(record, owner)
        left = [record for record in records if record not in kept]
        return [record for record in left if not self._goes_with_another(record)]

    def _without_dying(
        self, records: list[Record], around: Surroundings
    ) -> tuple[list[Record], list[Record]]:
        """Return the records that outlive the fixture values, and those that die with them."""
        if not records or not around.values:
            return records, []
        from pytest_sockets.leaks.last_references import dying_with

        # No variable may refer to an object here: it would count as a reference from outside.
        objects = {id(record.ref()): record for record in records if record.ref() is not None}
        dying = dying_with(around.values, objects.keys())
        found = [objects[one] for one in dying.socks]
        left = [record for record in records if record not in found]
        return left, [] if dying.may_close else found

    def _goes_with_another(self, record: Record) -> bool:
        """Give an accepted socket to the live owner of its listener or client. Return whether there is one."""
        other = living_end(record, self._ledger) if record.accepted else None
        if other is not None:
            self._ledger.reassign(record, other.owner)
        return other is not None

    def _after_waiting(self, records: list[Record], seconds: float) -> list[Record]:
        """Wait, and return the records that are still open. Does not wait if no other thread could close them."""
        foreign = any(record.call_site is None for record in records)
        if not records or seconds <= 0 or not (foreign or self._ledger.has_threads):
            return records
        began = monotonic()
        wait_until(lambda: not self._still_open(records), seconds)
        self._waited += monotonic() - began
        return self._still_open(records)

    def _still_open(self, records: list[Record]) -> list[Record]:
        return [record for record in records if record.is_open]

    def _patience(self, records: list[Record], grace: float) -> float:
        call_sites = {record.call_site for record in records if record.call_site is not None}
        stubborn = len(call_sites) == len(records) and call_sites <= self._stubborn
        if records and (stubborn or self.ran_out_of_patience):
            return min(grace, STUBBORN_WAIT)
        return max(0.0, grace - SHORT_WAIT)

    def _without_deferred(self, records: list[Record]) -> list[Record]:
        waiting = loop_transports.waiting_for_their_loop(records)
        for record in waiting:
            self._ledger.reassign(record, self._ledger.session)
        return [record for record in records if record not in waiting]
