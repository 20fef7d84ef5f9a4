"""When is a socket that is open after its owner's teardown a leak?

Only what is suspicious comes here, so a clean test pays nothing. In this order, each step cheaper than a false alarm:
1. reachable from a live wider fixture (a lazily filled pool): it is that fixture's;
2. a short wait: of 487 late closers 468 were gone within 12 ms;
3. drop what pytest itself drops right after (the fixture values of the finished test), and one gc.collect();
4. wait out the grace time, if anything in this process could still close it;
5. what an event loop that is alive but not running will close by itself waits for the end of the session;
6. the two ends of one connection count once.
"""

from __future__ import annotations

import dataclasses
import gc
import sys
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets import model
from pytest_sockets.leaks import reachability
from pytest_sockets.leaks.safe_reading import attributes
from pytest_sockets.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_sockets.leaks.call_site import Origin
    from pytest_sockets.leaks.child_listeners import ChildListener
    from pytest_sockets.leaks.children import Children
    from pytest_sockets.leaks.records import Owner, Record
    from pytest_sockets.leaks.registry import Ledger
    from pytest_sockets.model import Endpoint, SocketEntry

SHORT_WAIT: Final = 0.02
STUBBORN_WAIT: Final = 0.05
"""For an opening line whose sockets once outlasted the whole grace time: bounds a suite that leaks in each of 500 tests."""


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """A socket that is a leak, as it was at that moment."""

    record: Record
    entry: SocketEntry
    note: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What the judge may ask and do; the plugin knows how."""

    live: Callable[[], Sequence[tuple[Owner, list[Any]]]]
    """The owners that are alive, narrowest first, with the objects that each keeps."""
    drop: Callable[[Sequence[Record]], None]
    """Let go of the finished test's fixture values that lead to these sockets."""
    kinds: tuple[str, ...]
    final: bool = False
    """The session is over: nothing can wait any longer."""


class Judge:
    """Remembers from one judgement to the next which opening lines are stubborn, and which ends were named."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._stubborn: set[Origin] = set()
        self._named: set[tuple[object, object]] = set()

    def judge(self, suspects: list[Record], around: Surroundings, grace: float) -> list[Verdict]:
        """Those of `suspects` that are leaks. May wait `grace` seconds and collect garbage, only if something is left."""
        left = [record for record in suspects if _watched(record, around.kinds)]
        left = self._without_kept(left, around)
        left = self._after_waiting(left, min(grace, SHORT_WAIT))
        if left:
            around.drop(left)
            left = self._still_open(left)
        if left:
            gc.collect()
            left = self._still_open(left)
        left = self._after_waiting(left, self._patience(left, grace))
        if left and not around.final:
            left = self._without_deferred(left)
        return self._each_connection_once(left)

    def judge_children(self, children: Children, around: Surroundings, grace: float) -> list[ChildListener]:
        """What children of ended owners still listen on after `grace` seconds; each is returned once."""

        def listening() -> list[ChildListener]:
            return children.listeners(self._ledger.listed_inodes())

        left = listening()
        if left:
            kept = reachability.keepers_of_processes({listener.child.pid for listener in left}, around.live())
            for listener in left:
                if listener.child.pid in kept:
                    children.keep(listener, kept[listener.child.pid])
            left = listening()
        if left:
            wait_until(lambda: not listening(), grace)
            left = listening()
        for listener in left:
            children.tell(listener)
        return left

    def _without_kept(self, records: list[Record], around: Surroundings) -> list[Record]:
        if not records:
            return records
        kept = reachability.keepers(records, around.live())
        for record, owner in kept.items():
            self._ledger.keep(record, owner)
        left = [record for record in records if record not in kept]
        return [record for record in left if not self._goes_with_another(record)]

    def _goes_with_another(self, record: Record) -> bool:
        """What was accepted goes with its listener, or with the client at its other end, if a live owner has that."""
        if not record.accepted:
            return False
        listener, entry = record.listener, record.entry
        other = listener if listener is not None and listener.is_open and not listener.owner.over else None
        if other is None and entry is not None and entry.remote is not None and entry.protocol == "tcp":
            other = self._living_end(entry.remote, entry.local)
        if other is not None:
            self._ledger.keep(record, other.owner)
        return other is not None

    def _living_end(self, local: Endpoint, remote: Endpoint) -> Record | None:
        for record in self._ledger.open_records():
            entry = record.entry if not record.owner.over else None
            if entry is not None and (entry.local, entry.remote) == (local, remote):
                return record
        return None

    def _after_waiting(self, records: list[Record], seconds: float) -> list[Record]:
        """Those that are open still. Without another thread nobody in this process can close them: then no wait."""
        foreign = any(record.origin is None for record in records)
        if not records or seconds <= 0 or not (foreign or self._ledger.has_threads):
            return records
        wait_until(lambda: not self._still_open(records), seconds)
        return self._still_open(records)

    def _still_open(self, records: list[Record]) -> list[Record]:
        self._ledger.settle()  # a stranger's audit event may have come meanwhile
        return [record for record in records if record.is_open]

    def _patience(self, records: list[Record], grace: float) -> float:
        origins = {record.origin for record in records if record.origin is not None}
        if records and len(origins) == len(records) and origins <= self._stubborn:
            return min(grace, STUBBORN_WAIT)
        return max(0.0, grace - SHORT_WAIT)

    def _without_deferred(self, records: list[Record]) -> list[Record]:
        waiting = _waiting_for_their_loop(records)
        for record in waiting:
            self._ledger.keep(record, self._ledger.session)
        return [record for record in records if record not in waiting]

    def _each_connection_once(self, records: list[Record]) -> list[Verdict]:
        # The end that the user's code connected comes first; what a server accepted is its consequence.
        verdicts: list[Verdict] = []
        for record in sorted(records, key=lambda record: record.accepted):
            entry = record.entry
            if entry is None:
                continue
            if self.is_other_end(record, entry):
                _add_other_end(verdicts, record, entry)
                continue
            if record.origin is not None:
                self._stubborn.add(record.origin)
            verdicts.append(Verdict(record, entry, _note(record)))
        return verdicts

    def is_other_end(self, record: Record, entry: SocketEntry) -> bool:
        """Whether the opposite end of this connection has been named; else remember this end."""
        if entry.remote is None or entry.protocol != "tcp":
            return entry.protocol == "unix" and self._is_pair_of_named(record)
        if (entry.remote, entry.local) in self._named:
            return True
        self._named.add((entry.local, entry.remote))
        return False

    def _is_pair_of_named(self, record: Record) -> bool:
        """socketpair() makes two unnamed ends by one call."""
        if record.pair is None:
            return False
        key, end = record.pair
        if (key, 1 - end) in self._named:
            return True
        self._named.add((key, end))
        return False


def _add_other_end(verdicts: list[Verdict], record: Record, entry: SocketEntry) -> None:
    """Say that there are two to close, if the user's code opened both; what a server accepted goes with its client."""
    if not record.at_home or record.origin is None or not record.origin.called_by_user:
        return
    for position, verdict in enumerate(verdicts):
        same_pair = record.pair is not None and verdict.record.pair is not None
        ends = record.pair[0] == verdict.record.pair[0] if same_pair else verdict.entry.local == entry.remote  # type: ignore[index]
        if ends and verdict.record.owner is record.owner:
            note = f"its other end (fd {entry.fd}) is open, too"
            verdicts[position] = dataclasses.replace(
                verdict, note="; ".join(filter(None, [verdict.note, note]))
            )
            return


def _watched(record: Record, kinds: tuple[str, ...]) -> bool:
    if record.origin is not None and record.origin.is_a_test_tools:
        return False
    entry = record.entry
    # A TCP socket that is neither bound nor connected holds a descriptor, no port: it counts all the same.
    return entry is not None and entry.protocol in kinds


def _waiting_for_their_loop(records: list[Record]) -> list[Record]:
    """What a live event loop of a wider scope closes when it runs again.

    A transport that is closing calls close() on the loop's next turn; an accepted connection whose peer has gone is noticed
    then, too. Neither goes by waiting, and both would be false alarms.
    """
    if "asyncio" not in sys.modules:
        return []
    transports = _transports_of([sock for record in records if (sock := record.ref()) is not None])
    return [record for record in records if _is_waiting(record, transports.get(id(record.ref())))]


def _transports_of(socks: list[Any]) -> dict[int, dict[str, Any]]:
    """The attributes of each socket's asyncio transport, by the socket's id; one pass over the heap for all of them."""
    found: dict[int, dict[str, Any]] = {}
    for referrer in gc.get_referrers(*socks) if socks else ():
        known = referrer if type(referrer) is dict else attributes(referrer)
        if "_loop" in known and "_sock" in known:
            found[id(known["_sock"])] = known
    return found


def _is_waiting(record: Record, transport: dict[str, Any] | None) -> bool:
    loop = attributes(transport["_loop"]) if transport is not None else {}
    if transport is None or loop.get("_closed", True) or loop.get("_thread_id") is not None:
        return False
    entry = record.entry
    peer_has_gone = entry is not None and entry.status not in (model.ESTABLISHED, model.LISTEN)
    return bool(transport.get("_closing")) or (record.accepted and peer_has_gone)


def _note(record: Record) -> str | None:
    if record.duplicate_of is not None:
        return f"a duplicate of descriptor {record.duplicate_of[0]} (os.dup or an inherited copy)"
    if record.owner is not record.opener:
        return f"opened by {record.opener}, kept by {record.owner}"
    return None
