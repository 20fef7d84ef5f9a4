"""Which sockets are open, and what did each owner leave? Filled by `attribution`, asked at the end of each owner.

A socket is identified by its descriptor and the number that `identity` gives it: descriptors and ports are reused at once,
these numbers are not. Each descriptor has one record, that of the socket which got it last, so the registry grows with the
descriptors and not with the sockets. Whether a socket is open is asked of its Python object, without a system call.
"""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.leaks import identity, watcher
from pytest_sockets.leaks.current_scope import CurrentScope
from pytest_sockets.leaks.records import fileno, no_object
from pytest_sockets.leaks.threads import ThreadOwners
from pytest_sockets.leaks.untracked import Untracked
from pytest_sockets.table import own_fds as table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sockets.leaks.call_site import Places
    from pytest_sockets.leaks.children import Children
    from pytest_sockets.leaks.owner import Owner, Scope
    from pytest_sockets.leaks.records import Key, Record
    from pytest_sockets.leaks.timeline import Timeline

_MOST_REPLACED: Final = 200
"""Records of closed sockets that are kept until the next look: a duplicate of one has its opening line."""


class Registry:
    """The sockets of one run in one process."""

    def __init__(self, places: Places, session: Owner, children: Children | None = None) -> None:
        self.places = places
        self.session = session
        self.children = children
        self.current = CurrentScope(session)
        self.threads = ThreadOwners(session)
        self.timeline: Timeline | None = None
        """Records every socket's life, if a report wants them."""
        self.opened = 0
        """Sockets that Python code opened since the run began."""
        self.touched = True
        """Something has happened since `rest`, or needs another look."""
        self.fds = table.FdCount()
        self._newest: dict[int, Record] = {}
        self._replaced: collections.deque[Record] = collections.deque(maxlen=_MOST_REPLACED)
        self._untracked = Untracked(self)

    # -- events, in any thread -------------------------------------------------------------------------------

    def add(self, record: Record) -> None:
        """A socket has been opened, or found. A second object for the same descriptor is the same socket."""
        assert record.key is not None
        fd, owner = record.key[0], record.owner
        known = self._newest.get(fd)
        if known is not None and not known.superseded:
            if known.key == record.key and known.call_site is not None:
                known.ref = record.ref  # TLS wrapping
                return
            # Another thread's look may have found the descriptor of accept() before its event.
            self._replace(known)
        foreign = self._untracked.foreign
        if (foreign and record.key in foreign) or (
            owner.kind != "test" and _opened_by_a_plugin(record, self.session)
        ):
            record.no_owner = True
        self._newest[fd] = record
        owner.has_records = True

    def detach(self, sock: Any, fd: int) -> None:
        """The object has given up its descriptor, which stays open."""
        record = self._newest.get(fd)
        if record is not None and record.ref() is sock:
            record.ref = no_object
            if not identity.BY_INODE:
                identity.SERIALS.detach(fd)

    # -- the course of the run -------------------------------------------------------------------------------

    def begin(self) -> None:
        """What is open now existed before the run and has no owner."""
        self._newest.clear()
        self._replaced.clear()
        self.fds.open()
        self._untracked.begin()
        self.threads.note(self.session)
        if self.children is not None:
            self.children.begin()

    def enter(self, scope: Scope, *, look: bool = True) -> Scope | None:
        """From now on `scope` runs; returns what `leave` wants to go on with the one that ran before.

        `look`: that code may have opened something, though it runs in no scope that was entered.
        """
        if look or self.current.entered is not None:
            self.checkpoint()
        return self.current.enter(scope)

    def leave(self, before: Scope | None) -> None:
        """The scope that `enter` interrupted goes on; what appeared meanwhile was opened by the ending one."""
        self.checkpoint()
        self.current.enter(before)

    def checkpoint(self) -> None:
        """Give new threads, children and untracked sockets to the current scope; next to nothing when nothing happened."""
        if self.is_idle():
            return
        watcher.look_again()
        self._note_threads()
        if self.children is not None and self.children.any_known:
            self.children.checkpoint(self.current.get())
        self._untracked.look(self.forget_closed())
        if self.timeline is not None:
            self.timeline.closed(tuple(self._replaced))
            self.timeline.look(self.open_records())
        if self._replaced:
            self._replaced.clear()

    def is_idle(self) -> bool:
        """Whether nobody has done anything since `rest`, so that the end of who ran needs no look at all.

        The number of descriptors proves it as long as every socket of the process was opened by Python code.
        """
        if self.touched or self.threads.any_new:
            return False
        try:
            return self.fds.quick() == self._untracked.last_count
        except OSError as error:  # a test has closed the descriptor
            table.raise_unless_system(error)
            return False

    def rest(self) -> None:
        """The current owner has ended; what opens from now on belongs to the next one."""
        children = self.children
        self.touched = bool(
            self._untracked.any_seen
            or self.timeline is not None
            or (children is not None and (children.any_seen or children.any_left))
        )

    def end(self, owner: Owner) -> None:
        """The whole teardown of `owner` is over: its sockets are suspects."""
        owner.end()
        if owner.has_records:
            self.touched = True

    # -- what owners have left -------------------------------------------------------------------------------

    @property
    def has_suspects(self) -> bool:
        """Whether an owner that has ended has left anything that was open at the last checkpoint, or may have."""
        if self._newest and any(map(_is_suspect, tuple(self._newest.values()))):
            return True
        return self.timeline is not None or (self.children is not None and self.children.any_left)

    def suspects(self) -> list[Record]:
        """Every open socket of the owners that have ended, each once, in the order of their ends."""
        found = [record for record in tuple(self._newest.values()) if _is_suspect(record) and record.is_open]
        for record in found:
            record.judged = True
        return sorted(found, key=lambda record: (record.owner.end_number, record.number))

    def left_open(self, owners: Iterable[Owner]) -> list[Record]:
        """What these owners have open now, whether they have ended or not."""
        wanted = set(owners)
        return [record for record in self._records() if record.owner in wanted and record.is_open]

    def reassign(self, record: Record, owner: Owner) -> None:
        """`owner` keeps this socket: it is judged with that owner."""
        record.owner, record.judged = owner, False
        owner.has_records = True

    def owns(self, owner: Owner) -> bool:
        """Whether a socket of `owner` has been opened, or a child or thread runs that may still open one for it."""
        if owner.has_records or self.threads.any_of(owner):
            return True
        return self.children is not None and self.children.any_of(owner)

    # -- questions about one socket --------------------------------------------------------------------------

    def newest(self, fd: int) -> Record | None:
        """The record of the socket that got this descriptor last."""
        return self._newest.get(fd)

    def at(self, key: Key) -> Record | None:
        """The record of the socket with this key, if it has an owner."""
        record = self._newest.get(key[0])
        return record if record is not None and record.key == key and not record.no_owner else None

    def by_inode(self, inode: int) -> Record | None:
        """A record of the socket with this inode, whatever the descriptor; None where sockets have no inodes."""
        if not identity.BY_INODE:
            return None
        known = (*self._records(), *tuple(self._replaced))
        return next((record for record in known if record.key and record.key[1] == inode), None)

    def dying(self, sock: Any) -> Record | None:
        """The record of a socket object that is being finalized with its descriptor still open."""
        fd = _descriptor_of(sock)
        record = self._newest.get(fd) if fd >= 0 else None
        return record if record is not None and not record.no_owner else None

    def open_records(self) -> list[Record]:
        """All open sockets that have an owner."""
        return [record for record in self._records() if record.seems_open]

    def is_foreign(self, key: Key) -> bool:
        """Whether this socket is not the suite's: open before the run, or opened by a plugin."""
        record = self._newest.get(key[0])
        own = record is not None and record.key == key and record.no_owner
        return own or key in self._untracked.foreign

    def foreign(self) -> list[Key]:
        """The sockets that are not the suite's."""
        opened = [record.key for record in tuple(self._newest.values()) if record.no_owner and record.key]
        return [*self._untracked.foreign, *opened]

    def listed_inodes(self) -> set[int]:
        """The inodes of all sockets that are open in this process now; empty where sockets have none."""
        return self._untracked.inodes() if identity.BY_INODE else set()

    @property
    def has_threads(self) -> bool:
        """Whether a thread of the suite runs beside us; only such a one, or a C library's, can still close a socket."""
        self._note_threads()
        return self.threads.any_of_the_suite

    # -- for `untracked` -------------------------------------------------------------------------------------

    def forget_closed(self) -> int:
        """Forget the sockets whose object is closed or gone. Returns how many have an open one; without a system call."""
        newest, replaced, count = self._newest, self._replaced, 0
        for fd, record in tuple(newest.items()):
            sock = record.ref()
            if sock is not None and fileno(sock) == fd:
                count += 1
            elif record.ref is not no_object:
                record.superseded = True
                replaced.append(record)
                if newest.get(fd) is record:  # and not another thread's new socket
                    del newest[fd]
        return count

    def without_objects(self) -> list[Record]:
        """The records of sockets that have no Python object."""
        return [record for record in tuple(self._newest.values()) if record.ref is no_object]

    def strike(self, record: Record) -> None:
        """It is closed. A duplicate may get its number again: that is another descriptor."""
        record.superseded = True
        if record.key is not None and self._newest.get(record.key[0]) is record:
            del self._newest[record.key[0]]
        if self.timeline is not None:
            self.timeline.closed([record])

    # -- inner -----------------------------------------------------------------------------------------------

    def _records(self) -> list[Record]:
        return [record for record in tuple(self._newest.values()) if not record.no_owner]

    def _replace(self, record: Record) -> None:
        record.superseded = True
        self._replaced.append(record)
        if self.timeline is not None:
            self.timeline.closed([record])

    def _note_threads(self) -> None:
        if self.threads.any_new:  # else the owner that runs need not be made
            self.threads.note(self.current.get().owner)


def _descriptor_of(sock: Any) -> int:
    try:
        return fileno(sock)
    except TypeError:  # asyncio hands out a wrapper
        fd = sock.fileno() if hasattr(sock, "fileno") else -1
        return fd if type(fd) is int else -1


def _is_suspect(record: Record) -> bool:
    return record.owner.end_number > 0 and not record.judged and not record.no_owner


def _opened_by_a_plugin(record: Record, session: Owner) -> bool:
    """Or by a library's own thread: opened for nobody, with no line of the user's."""
    if record.owner is not session and (record.owner.kind != "import" or record.on_test_thread):
        return False
    return record.call_site is None or not record.call_site.in_users_code
