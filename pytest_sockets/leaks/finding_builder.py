"""Turn a verdict into a finding: owner, place, referrers and all else that a message or report needs, as plain values."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from pytest_sockets.leaks.findings import (
    LEFT_BEHIND,
    LOOP_NOT_CLOSED,
    OPEN,
    SETUP_RAISED,
    UNCLOSED,
    Finding,
    Frame,
)
from pytest_sockets.leaks.referrers import Budget, holders
from pytest_sockets.printable import masked

if TYPE_CHECKING:
    from pytest_sockets.leaks.call_site import CallSite
    from pytest_sockets.leaks.child_listeners import ChildListener
    from pytest_sockets.leaks.children import Child
    from pytest_sockets.leaks.connection_ends import Verdict
    from pytest_sockets.leaks.owner import Owner
    from pytest_sockets.leaks.records import Record
    from pytest_sockets.leaks.registry import Registry
    from pytest_sockets.model import SocketEntry

MOST_EXPLAINED: Final = 25
"""The number of opening lines of a run whose referrers are searched. Each search visits every object of the process."""


_MOST_SHARERS: Final = 5
_LOOP_FILES: Final = frozenset(
    (
        "socket.py", "base_events.py", "events.py", "selector_events.py", "unix_events.py", "proactor_events.py",
        "windows_events.py",
    )
)  # fmt: skip
"""The only files between the line that makes an event loop and the socket pair of that loop."""


class FindingBuilder:
    """Makes the findings of one process. The caller adds the test after which they were found."""

    def __init__(self, ledger: Registry, worker: str | None) -> None:
        self._ledger = ledger
        self.worker = worker
        self._held_by: dict[CallSite | None, tuple[str, ...]] = {}
        self.budget = Budget()

    def named_owner(self, record: Record) -> Owner:
        """Return the owner to blame: the fixture that keeps the socket, else its opener, even at the session's end."""
        return record.opener if record.owner is self._ledger.session else record.owner

    def owner_of_child(self, child: Child) -> Owner:
        """Return the owner to blame for a child process."""
        return child.opener if child.scope.owner is self._ledger.session else child.scope.owner

    def open(self, verdict: Verdict) -> Finding:
        """Return the finding for a socket that stayed open."""
        record = verdict.record
        notes = [
            verdict.note,
            SETUP_RAISED if self.named_owner(record).raised else None,
            self._in_thread(record),
            self._of_own_loop(record),
        ]
        note = "; ".join(filter(None, notes)) or None
        return self._finding(OPEN, record, verdict.entry, held_by=self._holders(record), note=note)

    def _in_thread(self, record: Record) -> str | None:
        """Return a note on the thread's start if the stack has no line of the user's, and on the test that ran meanwhile."""
        texts = []
        if record.thread is not None and record.thread.in_users_code and not _in_users_code(record):
            texts.append(
                f"opened in a thread that was started at {record.thread.opened_at(self._ledger.places)}"
            )
        if record.concurrent_owner is not None and record.concurrent_owner.kind == "test":
            texts.append(f"opened while {record.concurrent_owner} ran")
        return "; ".join(texts) or None

    def _of_own_loop(self, record: Record) -> str | None:
        """Return a note if the user's line made the event loop itself, not through a runner."""
        call_site = record.call_site
        if call_site is None or not call_site.called_by_user or record.pair is None:
            return None
        frames, users = call_site.stack(self._ledger.places), call_site.opened_at(self._ledger.places)
        inner = list(itertools.takewhile(lambda frame: frame != users, frames))
        of_loop = any(frame.function == "_make_self_pipe" for frame in inner)
        return LOOP_NOT_CLOSED if of_loop and all(map(_is_loops, inner)) else None

    def unclosed(self, record: Record, entry: SocketEntry) -> Finding:
        """Return the finding for a socket that only the interpreter closed."""
        return self._finding(UNCLOSED, record, entry)

    def child(self, listener: ChildListener) -> Finding:
        """Return the finding for a listener of a child process."""
        child = listener.child
        command = masked(listener.command or f"pid {child.pid}")
        notes = []
        if listener.left_behind:
            notes.append(LEFT_BEHIND)
        if listener.sharers:
            further = len(listener.sharers) - _MOST_SHARERS
            shown = ", ".join(map(str, listener.sharers[:_MOST_SHARERS]))
            notes.append(f"open also in pid {shown}{f' and {further} more' if further > 0 else ''}, by fork")
        note = "; ".join(notes) or None
        owner = self.owner_of_child(child)
        return self._made(
            OPEN, owner, child.scope.phase, listener.entry, child.call_site, process=command, note=note
        )

    def _finding(
        self,
        kind: str,
        record: Record,
        entry: SocketEntry,
        held_by: tuple[str, ...] = (),
        note: str | None = None,
    ) -> Finding:
        owner = self.named_owner(record)
        return self._made(kind, owner, record.phase, entry, record.call_site, held_by=held_by, note=note)

    def _made(
        self,
        kind: str,
        owner: Owner,
        phase: str,
        entry: SocketEntry,
        call_site: CallSite | None,
        *,
        process: str | None = None,
        held_by: tuple[str, ...] = (),
        note: str | None = None,
    ) -> Finding:
        places = self._ledger.places
        if owner.parameter:
            note = "; ".join(filter(None, (f"with parameter {owner.parameter}", note)))
        return Finding(
            kind=kind,
            nodeid="",
            owner_kind=owner.kind,
            owner_name=owner.name,
            owner_scope=owner.scope,
            phase=phase,
            socket=entry,
            process=process,
            opened_at=call_site.opened_at(places) if call_site else None,
            stack=call_site.stack(places) if call_site else (),
            held_by=held_by,
            note=note,
            worker=self.worker,
        )

    def _holders(self, record: Record) -> tuple[str, ...]:
        known = self._held_by.get(record.call_site)
        if known is not None:
            return known
        sock = record.ref()
        if sock is None or len(self._held_by) >= MOST_EXPLAINED:
            return ()
        try:
            found = self._held_by[record.call_site] = holders(sock, self._ledger.places, self.budget)
        finally:
            del sock
        return found


def _is_loops(frame: Frame) -> bool:
    return frame.file.rpartition("/")[2] in _LOOP_FILES


def _in_users_code(record: Record) -> bool:
    return record.call_site is not None and record.call_site.in_users_code
