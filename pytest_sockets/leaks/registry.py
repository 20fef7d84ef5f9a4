"""Who owns which socket: filled by audit events and by looks at the descriptors, asked at the end of each owner.

A socket is identified by its descriptor and the number that `identity` gives it. Descriptors and ports are reused at once,
these numbers are not. Sockets of Python code are noted when they are created, before they have a descriptor, through a weak
reference. What Python code did not open (C extensions, os.dup, inherited descriptors) is found by listing the descriptors
whenever their number changed. A number that stayed the same proves nothing once a socket that Python code did not open was
seen; then every checkpoint lists them.
"""

from __future__ import annotations

import collections
import contextlib
import os
import socket
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.leaks import identity
from pytest_sockets.leaks.call_site import Places, capture
from pytest_sockets.leaks.records import Key, Record, Scope
from pytest_sockets.leaks.threads import ThreadOwners
from pytest_sockets.originals import monotonic
from pytest_sockets.real_socket import RealSocket, own_fds
from pytest_sockets.table import own_fds as table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType

    from pytest_sockets.leaks.children import Children
    from pytest_sockets.leaks.records import Owner
    from pytest_sockets.leaks.timeline import Timeline
    from pytest_sockets.leaks.untracked import Strangers
    from pytest_sockets.model import SocketEntry

_ACCEPT: Final = socket.socket.accept.__code__
_GIVE_NEW: Final = ("accept", "socketpair", "dup", "fromfd")
"""The functions of `socket` that make an object for a descriptor which no other object has."""
_PURGE_EVERY: Final = 1000
"""After so many sockets the books are cleared of closed ones: memory stays flat over 100,000 tests, and in a test that opens
a million."""
_MOST_UNSETTLED: Final = 1000
"""One of them may have been detached before its descriptor was seen; the newest most probably."""

_SLOW_LISTING: Final = 0.5
"""Seconds."""
_PAUSE: Final = 10
"""After a slow listing, so many times its duration pass without another one: at most a tenth of the run's time."""


class Ledger:
    """The books of one run in one process. An audit `Listener`; all else is called by the plugin in its own thread."""

    def __init__(self, places: Places, session: Owner, children: Children | None = None) -> None:
        self.places = places
        self.session = session
        before_the_run = Scope(session, "setup")
        self.who_runs: Callable[[], Scope] = lambda: before_the_run
        """Asked, in any thread, when something happens while no scope was entered: in most tests never."""
        self._entered: Scope | None = None
        self._touched = True
        """Something has happened since `rest`, or needs another look."""
        self.on_error: Callable[[str, BaseException], None] = lambda _what, _error: None
        """Called, in any thread, with an error of this plugin's own."""
        self.opened = 0
        """Sockets that Python code opened since the run began."""
        self.timeline: Timeline | None = None
        """Told of every socket's life, if a report wants them."""
        self._children = children
        self.fds = table.FdCount()
        self._last_count = -1
        self._list_again_at = 0.0
        """When descriptors may be listed again, after a slow listing."""
        self._fresh: collections.deque[Record] = collections.deque()
        self._unsettled: list[Record] = []
        self._open: dict[Key, Record] = {}
        self._foreign: set[Key] = set()
        """Not the suite's: open before the run began, or opened by other plugins between tests."""
        self._of_owner: dict[Owner, list[Record]] = {}
        self._ended: list[Owner] = []
        self._purge_at = _PURGE_EVERY
        self._threads = ThreadOwners(session)
        self._active_threads = self._threads.active
        self._strangers: Strangers | None = None
        self._lock = threading.RLock()
        """Held while records move from fresh to open, so that no look finds a record in neither."""
        _ledgers.add(self)

    # -- who runs --------------------------------------------------------------------------------------------

    @property
    def scope(self) -> Scope:
        """Whose code runs now, in which phase."""
        if self._entered is not None:
            return self._entered
        self._touched = True
        return self.who_runs()

    @scope.setter
    def scope(self, scope: Scope | None) -> None:
        self._entered = scope

    def rest(self) -> None:
        """Whoever ran has ended; all that is from now on is the next one's."""
        self._entered = None
        self._touched = bool(
            self._fresh
            or self._ended
            or (self._strangers is not None and self._strangers.any_seen)
            or self.timeline is not None
            or (self._children is not None and (self._children.any_known or self._children.any_left))
        )

    def is_idle(self) -> bool:
        """Whether nobody has done anything since `rest`, so that the end of who ran needs no look at all.

        The number of descriptors proves it as long as every socket of the process was opened by Python code. Every test
        comes here, with cold caches: each call of a function in here would cost a microsecond.
        """
        if self._touched or (len(self._active_threads) > 1 and self._threads.any_new):
            return False
        try:
            return self.fds.quick() == self._last_count
        except OSError:  # a test has closed the descriptor
            return False

    # -- audit events, in any thread -------------------------------------------------------------------------

    def socket_created(self, sock: Any, family: int, kind: int, frame: FrameType) -> None:
        """Note a socket that Python code makes; it has no descriptor yet."""
        if isinstance(sock, RealSocket):
            return
        record = Record(self._scope_of_thread(), capture(frame, self.places), family, kind)
        record.at_home = self._threads.at_home
        if not record.at_home:
            self._note_thread(record)
        try:
            record.ref = identity.refer(sock)
        except TypeError:  # a bare _socket.socket: it is matched with its descriptor when that is listed
            self._last_count = -1
        if frame.f_code.co_name == "__init__":
            self._note_given_descriptor(record, frame)
        if self.timeline is not None:
            self.timeline.created(record, sock)
        self._touched = True
        self.opened += 1
        self._fresh.append(record)
        if self.opened > self._purge_at:
            self.settle() if record.at_home else self._trim()

    def socket_used(self, sock: Any, address: Any) -> None:
        """A fresh socket is bound or connected: learn its identity now, it may be detached later."""
        if self._fresh and not isinstance(sock, RealSocket):
            self.settle()
            if self.timeline is not None:
                self.timeline.used(self._open.get(_key_of(sock)), address)

    def child_started(self, frame: FrameType, words: Any) -> None:
        """A child process is about to be started."""
        self._touched = True
        if self._children is not None:
            self._children.starting(self._scope_of_thread(), capture(frame, self.places), words, frame)

    def thread_started(self, thread: threading.Thread, frame: FrameType) -> None:
        """The calling thread is about to start another one, which works for the same owner."""
        self._threads.born(thread, self._scope_of_thread().owner, capture(frame, self.places))

    def failed(self, event: str, error: BaseException) -> None:
        """Noting this event failed."""
        self.on_error(f"noting {event}", error)

    def _scope_of_thread(self) -> Scope:
        starter = None if self._threads.at_home else self._threads.starter()
        scope = self.scope
        return scope if starter is None or starter is scope.owner else Scope(starter, "call")

    def _note_thread(self, record: Record) -> None:
        thread = self._threads.calling
        if thread is not None:
            record.maker, record.thread = weakref.ref(thread), self._threads.origin_of(thread)
            if record.origin is not None:
                record.origin.thread = record.thread
        running = self.scope.owner
        record.during = running if running is not record.owner else None

    def _note_given_descriptor(self, record: Record, frame: FrameType) -> None:
        """accept(), dup(), fromfd() and TLS wrapping pass the descriptor: it is in the constructor's locals."""
        fd = frame.f_locals.get("fileno")
        if not isinstance(fd, int) or fd < 0:
            return
        caller = frame.f_back
        if identity.BY_INODE:
            inode = table.socket_inode(fd)
            if inode is None:
                return
            record.key = (fd, inode)
        else:
            new = caller is not None and caller.f_code.co_name in _GIVE_NEW
            record.key = fd, identity.SERIALS.claim(fd, record.ref, shared=not new)
        if caller is None:
            return
        # A thread of the session's that accepts is a server's that ran before the suite.
        by_a_server = not _by_user(record) or (record.owner is self.session and not record.at_home)
        if caller.f_code is _ACCEPT:
            record.accepted = True
            if by_a_server:
                self._give_to_listener(record, caller.f_locals["self"].fileno())
        elif caller.f_code.co_name == "socketpair":
            # Of the standard library's and of gevent's. The first end has lost its descriptor to the object that is made.
            first = _descriptor_of(caller.f_locals.get("a"))
            record.pair = (record.key, 0) if first is None else (first, 1)
        elif by_a_server:
            from pytest_sockets.leaks import untracked

            untracked.give_to_listener(record, self)  # accepted by gevent's hub, or another loop of its own

    def _give_to_listener(self, record: Record, fd: int) -> None:
        """What a library's loop accepts on a wider fixture's listener is that fixture's, whichever test runs the loop."""
        number = identity.socket_at(fd)
        if number is not None and (fd, number) in self._foreign:
            record.nobodys = True
        listener = self._open.get((fd, number)) if number is not None else None
        if listener is None:
            return
        record.origin, record.listener = listener.origin, listener
        if not listener.owner.over:
            record.owner = record.opener = listener.owner

    # -- the course of the run -------------------------------------------------------------------------------

    def begin(self) -> None:
        """What is open now existed before the run: nobody's."""
        self._fresh.clear()
        self._open.clear()
        self._of_owner.clear()
        self._foreign = set(self._listed().items())
        self.fds.open()
        self._last_count = self.fds.count()
        self._threads.note(self.session)
        if self._children is not None:
            self._children.begin()

    def enter(self, scope: Scope, *, look: bool = True) -> Scope | None:
        """From now on `scope` runs; returns what `leave` wants to go on with the one that ran before.

        `look`: that code may have opened something, though it runs in no scope that was entered.
        """
        before = self._entered
        if look or before is not None:
            self.checkpoint()
        self._entered = scope
        return before

    def leave(self, before: Scope | None) -> None:
        """The scope that `enter` interrupted goes on; what appeared meanwhile was opened by the ending one."""
        self.checkpoint()
        self._entered = before

    def checkpoint(self) -> None:
        """Give new threads and new sockets to the current scope; some microseconds when nothing was opened."""
        if self.is_idle():
            return
        self._note_threads()
        if self._fresh:
            self._settle_fresh(final=True)
        if self._children is not None and self._children.any_known:
            self._children.checkpoint(self.scope)
        strangers = self._strangers
        if strangers is not None:
            strangers.confirm()
        if not self.fds.available:
            return
        if self.fds.count() != self._last_count or (strangers is not None and strangers.seen):
            self._list_within_budget()
        if self.timeline is not None:
            self.timeline.closed(self._unsettled)
            self.timeline.look(self.open_records())
        self._unsettled.clear()

    def end(self, owner: Owner) -> None:
        """The whole teardown of `owner` is over: its sockets are suspects."""
        owner.over = True
        if owner in self._of_owner:  # if not, what turns up later ends it, too
            self._ended.append(owner)
            self._touched = True

    @property
    def eventful(self) -> bool:
        """Whether an owner that has ended has left anything open. What is closed is struck out."""
        if self._of_owner.keys().isdisjoint(self._ended):
            return False
        with self._settling():
            for owner in self._ended:
                records = [record for record in self._of_owner.pop(owner, ()) if self._still_open(record)]
                if records:
                    self._of_owner[owner] = records
        return not self._of_owner.keys().isdisjoint(self._ended)

    def acquit(self) -> None:
        """The owners that have ended have nothing in the books."""
        self._ended.clear()

    def owns(self, owner: Owner) -> bool:
        """Whether anything in the books is of `owner`, or a child or thread that may still open something for it."""
        if owner in self._of_owner or self._threads.any_of(owner):
            return True
        return self._children is not None and self._children.any_of(owner)

    def suspects(self) -> list[Record]:
        """Every open socket of the owners that ended since the last call."""
        ended, self._ended = self._ended, []
        if not self._of_owner:
            return []
        with self._settling():
            return [
                record
                for owner in ended
                for record in self._of_owner.pop(owner, ())
                if self._still_open(record)
            ]

    def left_open(self, owners: Iterable[Owner]) -> list[Record]:
        """What these owners have open now, whether they have ended or not."""
        self.settle()
        records = [record for owner in owners for record in self._of_owner.get(owner, ())]
        return [record for record in records if record.is_open]

    def keep(self, record: Record, owner: Owner) -> None:
        """`owner` keeps this socket: it is judged with that owner."""
        with self._settling():
            records = self._of_owner.get(record.owner)
            if records is not None and record in records:
                records.remove(record)
            record.owner = owner
            self._of_owner.setdefault(owner, []).append(record)

    def at(self, key: Key) -> Record | None:
        """The record of the socket with this key."""
        return self._open.get(key)

    def dying(self, sock: Any) -> Record | None:
        """The record of a socket object that is being finalized with its descriptor still open."""
        self.settle()
        fd = sock.fileno()
        if not identity.BY_INODE:
            return self._dying_by_object(fd, id(getattr(sock, "_sock", sock)))  # asyncio hands out a wrapper
        inode = table.socket_inode(fd)
        record = self._open.get((fd, inode)) if inode is not None else None
        if record is None and (entry := _describe(fd)) is not None:
            # The collector clears weak references before finalizers run: a fresh record has lost its object by now.
            lost = (fresh for fresh in tuple(self._fresh) if fresh.ref() is None and fresh.describes(entry))
            record = next(lost, None)
        return record

    def _dying_by_object(self, fd: int, object_id: int) -> Record | None:
        """The newest record of the object: an address is reused only after the older object has died."""
        with self._lock:
            there = [
                record for record in self._open.values() if record.key is not None and record.key[0] == fd
            ]
            known = [*there, *self._unsettled, *self._fresh]
        same = (record for record in reversed(known) if getattr(record.ref, "object_id", None) == object_id)
        return next(same, None)

    @property
    def has_threads(self) -> bool:
        """Whether a thread of the suite runs beside us; only such a one, or a C library's, can still close a socket."""
        self._note_threads()
        return self._threads.any_of_the_suite

    def _note_threads(self) -> None:
        if self._threads.any_new:  # else the owner that runs need not be made
            self._threads.note(self.scope.owner)

    def listed_inodes(self) -> set[int]:
        """The inodes of all sockets that are open in this process now; empty where sockets have none."""
        return set(self._listed().values()) if identity.BY_INODE else set()

    def by_inode(self, inode: int) -> Record | None:
        """A record of the socket with this inode, whatever the descriptor; None where sockets have no inodes."""
        if not identity.BY_INODE:
            return None
        return next((record for key, record in tuple(self._open.items()) if key[1] == inode), None)

    def lost(self, fd: int) -> list[Record]:
        """Records of sockets whose object no longer has this descriptor: it was closed, or detached from the object."""
        return [record for key, record in tuple(self._open.items()) if key[0] == fd and not record.is_open]

    def foreign(self) -> list[Key]:
        """What was open before the run began, or was opened by other plugins."""
        return list(self._foreign)

    def creations(self) -> tuple[list[Record], list[Record]]:
        """Records without a descriptor: those whose constructor may still be running, and those that lost theirs."""
        return list(self._fresh), self._unsettled

    def open_records(self) -> list[Record]:
        """All sockets in the books, as of the last look."""
        return list(self._open.values())

    # -- settling --------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Learn what can be learned now of fresh sockets; called in any thread, never waits."""
        if self._fresh and self._lock.acquire(blocking=False):
            try:
                self._move_fresh(final=False)
            finally:
                self._lock.release()

    @contextlib.contextmanager
    def _settling(self) -> Iterator[None]:
        with self._lock:
            yield

    def _trim(self) -> None:
        """Forget dead sockets of other threads, without a system call: each would let a hundred busy threads run first."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            for _ in range(len(self._fresh)):
                try:
                    record = self._fresh.popleft()
                except IndexError:
                    break
                (self._fresh if record.ref() is not None else self._unsettled).append(record)
            self._trim_unsettled()
            self._purge_at = self.opened + max(_PURGE_EVERY, len(self._fresh))
        finally:
            self._lock.release()

    def _trim_unsettled(self) -> None:
        if self.timeline is not None:
            self.timeline.closed(self._unsettled[:-_MOST_UNSETTLED])
        del self._unsettled[:-_MOST_UNSETTLED]

    def _settle_fresh(self, *, final: bool) -> None:
        with self._settling():
            self._move_fresh(final=final)

    def _move_fresh(self, *, final: bool) -> None:
        for _ in range(len(self._fresh)):
            try:
                record = self._fresh.popleft()
            except IndexError:  # a finalizer settled meanwhile, in this thread
                return
            if record.settle():
                self._adopt(record)
            elif record.is_unborn(final=final):
                self._fresh.append(record)
            else:
                self._unsettled.append(record)
        if self.opened > self._purge_at:
            self._purge()

    def _adopt(self, record: Record) -> None:
        assert record.key is not None
        known = self._open.get(record.key)
        if known is not None and known.origin is None:
            # accept() and dup() have the descriptor before the audit event comes: a look in between, while another
            # thread was there, took it for a stranger.
            known.superseded = True
        elif known is not None:  # TLS wrapping: a new object for the same descriptor keeps the first origin
            known.ref = record.ref
            return
        if record.key in self._foreign:
            return
        if record.nobodys:
            self._open.pop(record.key, None)  # a stranger until now
            self._foreign.add(record.key)
            return
        by_nobody = record.owner is self.session or (record.owner.kind == "import" and not record.at_home)
        if by_nobody and (record.origin is None or not record.origin.in_users_code):
            self._foreign.add(record.key)  # a plugin's, or that of a library's own thread
            return
        self._open[record.key] = record
        self._of_owner.setdefault(record.owner, []).append(record)
        if record.owner.over:  # opened by a thread that outlived its test: judged next, as that test's
            self._ended.append(record.owner)

    def _listed(self) -> dict[int, int]:
        try:
            return identity.listed()
        except OSError:
            return {record.key[0]: record.key[1] for record in self.open_records() if record.key}

    def _list_within_budget(self) -> None:
        """A hundred busy threads make one listing take seconds, since each system call lets them run first."""
        began = monotonic()
        if began < self._list_again_at:
            self._last_count = -1
            return
        self._last_count = self.fds.recount()
        self._list()
        ended = monotonic()
        if ended - began > _SLOW_LISTING:
            self._list_again_at = ended + _PAUSE * (ended - began)

    def _list(self) -> None:
        """Compare the books with the descriptors: strike out what is closed, take in what no Python code opened."""
        foreign = self._foreign.copy()
        present = set(self._listed().items())
        ours = own_fds()
        with self._settling():
            self._move_fresh(final=False)  # what another thread opened before the listing has a record by now
            self._foreign -= foreign - present  # not those that were added since the listing
            for fd, number in sorted(present - self._open.keys() - self._foreign):
                if fd in ours:
                    continue
                record = self._record_of_stranger((fd, number))
                if record is None:
                    self._last_count = -1
                else:
                    self._adopt(record)
            # Last: a closed socket's record still tells the origin of its duplicate.
            for key in tuple(self._open):
                if key not in present and not self._open[key].is_open:
                    self._forget(key)

    def _record_of_stranger(self, key: Key) -> Record | None:
        if self._strangers is None:
            from pytest_sockets.leaks.untracked import Strangers

            self._strangers = Strangers()
        return self._strangers.record_of(key, self.scope, self)

    def _still_open(self, record: Record) -> bool:
        if record.is_open:
            return True
        if record.key is not None and self._open.get(record.key) is record:
            self._forget(record.key)
        return False

    def _forget(self, key: Key) -> None:
        record = self._open.pop(key, None)
        if record is None:
            return
        record.superseded = True  # a duplicate may get this number again: it is another descriptor
        if self.timeline is not None:
            self.timeline.closed([record])

    def _purge(self) -> None:
        self._trim_unsettled()
        for owner, records in tuple(self._of_owner.items()):
            self._of_owner[owner] = left = [record for record in records if self._still_open(record)]
            if not left:
                del self._of_owner[owner]
        self._purge_at = self.opened + max(_PURGE_EVERY, len(self._open))


_ledgers: weakref.WeakSet[Ledger] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    """A thread that does not exist in the child may have held the lock."""
    for ledger in tuple(_ledgers):
        ledger._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _by_user(record: Record) -> bool:
    origin = record.origin
    return origin is not None and origin.called_by_user and not origin.in_a_loop


def _descriptor_of(sock: Any) -> Key | None:
    fd = sock.fileno() if hasattr(sock, "fileno") else -1
    return _key_of(sock) if isinstance(fd, int) and fd >= 0 else None


def _key_of(sock: Any) -> Key:
    fd = sock.fileno()
    return fd, identity.socket_at(fd) or 0


def _describe(fd: int) -> SocketEntry | None:
    from pytest_sockets.table import own_socket

    return own_socket.describe(fd)
