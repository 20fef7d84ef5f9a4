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
"""The number of records of closed sockets to keep until the next look: a duplicate takes its opening line from one."""


class Registry:
    """The sockets of one run in one process."""

    def __init__(self, places: Places, session: Owner, children: Children | None = None) -> None:
        self.places = places
        self.session = session
        self.children = children
        self.current = CurrentScope(session)
        self.threads = ThreadOwners(session)
        self.timeline: Timeline | None = None
        """Records every socket's life, if a report needs that."""
        self.opened = 0
        """The number of sockets that Python code has opened since the run began."""
        self.touched = True
        """Whether something has happened since `rest`, or another look is needed."""
        self.fds = table.FdCount()
        self._newest: dict[int, Record] = {}
        self._replaced: collections.deque[Record] = collections.deque(maxlen=_MOST_REPLACED)
        self._untracked = Untracked(self)

    # -- events, in any thread -------------------------------------------------------------------------------

    def add(self, record: Record) -> None:
        """Add a socket that was opened or found. A second object for the same descriptor is the same socket."""
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
        """Note that the object has given up its descriptor, which stays open."""
        record = self._newest.get(fd)
        if record is not None and record.ref() is sock:
            record.ref = no_object
            if not identity.BY_INODE:
                identity.SERIALS.detach(fd)

    # -- the course of the run -------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin the run: what is open now has no owner."""
        self._newest.clear()
        self._replaced.clear()
        self.fds.open()
        self._untracked.begin()
        self.threads.note(self.session)
        if self.children is not None:
            self.children.begin()

    def enter(self, scope: Scope, *, look: bool = True) -> Scope | None:
        """Let `scope` run from now on. Return the scope that it interrupts, for `leave`.

        `look` is true if the interrupted code may have opened something although it entered no scope.
        """
        if look or self.current.entered is not None:
            self.checkpoint()
        return self.current.enter(scope)

    def leave(self, before: Scope | None) -> None:
        """Continue with the scope that `enter` interrupted. What appeared meanwhile belongs to the scope that ends."""
        self.checkpoint()
        self.current.enter(before)

    def checkpoint(self) -> None:
        """Give new threads, children and untracked sockets to the current scope. Does next to nothing when idle."""
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
        """Whether nothing has happened since `rest`, so that the end of a test needs no look.

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
        """Note that the current owner has ended: what opens from now on belongs to the next one."""
        children = self.children
        self.touched = bool(
            self._untracked.any_seen
            or self.timeline is not None
            or (children is not None and (children.any_seen or children.any_left))
        )

    def end(self, owner: Owner) -> None:
        """Note that the whole teardown of `owner` is over: its sockets become suspects."""
        owner.end()
        if owner.has_records:
            self.touched = True

    # -- what owners have left -------------------------------------------------------------------------------

    @property
    def has_suspects(self) -> bool:
        """Whether an owner that has ended left something open at the last checkpoint, or may have done so."""
        if self._newest and any(map(_is_suspect, tuple(self._newest.values()))):
            return True
        return self.timeline is not None or (self.children is not None and self.children.any_left)

    def suspects(self) -> list[Record]:
        """Return every open socket of the owners that have ended, each once, in the order of their ends."""
        found = [record for record in tuple(self._newest.values()) if _is_suspect(record) and record.is_open]
        for record in found:
            record.judged = True
        return sorted(found, key=lambda record: (record.owner.end_number, record.number))

    def left_open(self, owners: Iterable[Owner]) -> list[Record]:
        """Return the open sockets of these owners, whether the owners have ended or not."""
        wanted = set(owners)
        return [record for record in self._records() if record.owner in wanted and record.is_open]

    def reassign(self, record: Record, owner: Owner) -> None:
        """Note that `owner` keeps this socket, so that it is judged with that owner."""
        record.owner, record.judged = owner, False
        owner.has_records = True

    def owns(self, owner: Owner) -> bool:
        """Whether `owner` has opened a socket, or has a child process or thread that may still open one."""
        if owner.has_records or self.threads.any_of(owner):
            return True
        return self.children is not None and self.children.any_of(owner)

    # -- questions about one socket --------------------------------------------------------------------------

    def newest(self, fd: int) -> Record | None:
        """Return the record of the socket that got this descriptor last."""
        return self._newest.get(fd)

    def at(self, key: Key) -> Record | None:
        """Return the record of the socket with this key, if it has an owner."""
        record = self._newest.get(key[0])
        return record if record is not None and record.key == key and not record.no_owner else None

    def by_inode(self, inode: int) -> Record | None:
        """Return a record of the socket with this inode, on any descriptor; None where sockets have no inodes."""
        if not identity.BY_INODE:
            return None
        known = (*self._records(), *tuple(self._replaced))
        return next((record for record in known if record.key and record.key[1] == inode), None)

    def dying(self, sock: Any) -> Record | None:
        """Return the record of a socket object that is finalized while its descriptor is open."""
        fd = _descriptor_of(sock)
        record = self._newest.get(fd) if fd >= 0 else None
        return record if record is not None and not record.no_owner else None

    def open_records(self) -> list[Record]:
        """Return all open sockets that have an owner."""
        return [record for record in self._records() if record.seems_open]

    def is_foreign(self, key: Key) -> bool:
        """Whether this socket is not the suite's: it was open before the run, or a plugin opened it."""
        record = self._newest.get(key[0])
        own = record is not None and record.key == key and record.no_owner
        return own or key in self._untracked.foreign

    def foreign(self) -> list[Key]:
        """Return the sockets that are not the suite's."""
        opened = [record.key for record in tuple(self._newest.values()) if record.no_owner and record.key]
        return [*self._untracked.foreign, *opened]

    def listed_inodes(self) -> set[int]:
        """Return the inodes of all sockets that are open in this process; empty where sockets have none."""
        return self._untracked.inodes() if identity.BY_INODE else set()

    @property
    def has_threads(self) -> bool:
        """Whether a thread of the suite is running. Only such a thread, or one of a C library, can still close a socket."""
        self._note_threads()
        return self.threads.any_of_the_suite

    # -- for `untracked` -------------------------------------------------------------------------------------

    def forget_closed(self) -> int:
        """Forget the sockets whose object is closed or gone. Return how many objects are open. Makes no system call."""
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
        """Return the records of sockets that have no Python object."""
        return [record for record in tuple(self._newest.values()) if record.ref is no_object]

    def strike(self, record: Record) -> None:
        """Strike out a closed socket. A duplicate may get its number again: that is another descriptor."""
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
    """Whether a plugin, or a library's own thread, opened it: for no test or fixture, and without a line of the user's."""
    if record.owner is not session and (record.owner.kind != "import" or record.on_test_thread):
        return False
    return record.call_site is None or not record.call_site.in_users_code
