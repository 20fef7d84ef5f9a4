"""Explain a "too many open files": the limit, the types of descriptors, and the sockets by opening line.

Nothing here needs a descriptor of its own, except modules that a first use imports.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_sockets.asserting import bind_errors, openers
from pytest_sockets.originals import monotonic
from pytest_sockets.printable import printable, short_command, shortened
from pytest_sockets.real_socket import own_fds as fds_of_this_plugin
from pytest_sockets.table import holders, own_fds, own_socket

if TYPE_CHECKING:
    from collections.abc import Iterable

_CODES: Final = frozenset((errno.EMFILE, 24, 10024))  # WSAEMFILE of Windows last
_SYSTEM_CODES: Final = frozenset((errno.ENFILE, 23))
_SAID: Final = re.compile(r"too many open files|\bEMFILE\b|WinError 10024", re.I)
_SYSTEM_SAID: Final = re.compile(r"too many open files in system|file table overflow|\bENFILE\b", re.I)
_EXPLAINED: Final = "too many open files (pytest-sockets)"
"""Title of the section, which also appears in the output of a pytest that a test ran."""
_MOST: Final = 8
_MOST_FILES: Final = 3
_LOOKING: Final = 1.0
"""Seconds for reading sockets: a limit of a million descriptors is common in containers."""
_UNKNOWN: Final = "unknown code: before the tests began, or by a C extension"
_UNWATCHED: Final = "unknown code, since leak detection is off (--sockets-leaks=warn shows the lines)"
_ONE: Final = {
    "sockets": "socket",
    "files": "file",
    "pipes": "pipe",
    "directories": "directory",
    "devices": "device",
    own_fds.OTHERS: "other (epoll, eventfd ...)",
}
_OWN: Final = "pytest-sockets itself"
_FIX: Final = (
    "Close each socket in the test or fixture that opens it; `--sockets-leaks=error` reports those that stay open. "
    "A higher limit (`ulimit -n`) only delays the error."
)


class Exhausted(NamedTuple):
    """The owner of the exhausted limit: the whole system or a process. `here`: this process reported the error itself."""

    system: bool
    here: bool


def in_error(error: BaseException) -> Exhausted | None:
    """Return what an error, or one of its causes and contexts, ran out of; None for any other error."""
    for one in bind_errors.chain(error):
        if isinstance(one, OSError) and one.errno in _CODES | _SYSTEM_CODES:
            return Exhausted(one.errno in _SYSTEM_CODES, True)
        for text in bind_errors.texts(one):
            found = in_text(text)
            if found is not None:
                # The error of a wrapping library is about this process; the output of a child is about the child.
                return found._replace(here=not hasattr(one, "cmd"))
    return None


def in_text(text: str) -> Exhausted | None:
    """Return what a child ran out of, according to its captured output; None if it reports no such error."""
    if _EXPLAINED in text or not (_SAID.search(text) or _SYSTEM_SAID.search(text)):
        return None
    return Exhausted(_SYSTEM_SAID.search(text) is not None, False)


class _Group(NamedTuple):
    """The sockets of one opener."""

    size: int
    opener: str
    statuses: str


def explanation(exhausted: Exhausted) -> str:
    """Return the text of the section; its first line is complete on its own."""
    types = own_fds.types()
    groups = _groups(fd for fd, fd_type in types.items() if fd_type == own_fds.SOCKET)
    limit = _limit()
    lines = [_headline(exhausted, len(types), groups, limit)]
    if not exhausted.here:
        lines += _children()
    lines.append(f"  limit    {_limit_text(exhausted, limit)}")
    lines.append(f"  open     {_types_text(types)}")
    for number, group in enumerate(groups[:_MOST]):
        title = "sockets" if number == 0 else "       "
        lines.append(f"  {title}  {group.size} ({group.statuses}) opened by {group.opener}")
    if len(groups) > _MOST:
        rest = sum(group.size for group in groups[_MOST:])
        lines.append(f"           ... and {rest} more, opened at {len(groups) - _MOST} other places")
    return "\n".join([*lines, *_files(types), _FIX])


def _headline(exhausted: Exhausted, number: int, groups: list[_Group], limit: tuple[int, int] | None) -> str:
    if exhausted.system:
        return f"The whole system has run out of open files (ENFILE); this process has {number} of them."
    if not exhausted.here:
        return f"A child process ran out of descriptors; this process has {number}{_of(limit)} open."
    first = groups[0] if groups else None
    if limit is not None and number < 0.9 * limit[0]:
        return f"{number} of {limit[0]} descriptors are open now: the others have been closed meanwhile."
    if first is not None and first.size * 2 >= number:
        every = (
            f"this process's limit of {limit[0]} open files" if limit else "the descriptors of this process"
        )
        return f"{_sockets(first.size)} opened by {first.opener}, used up {every}."
    return f"All descriptors of this process are open: {number}{_of(limit)}."


def _sockets(count: int) -> str:
    return f"{count} socket{'s' * (count != 1)}"


def _of(limit: tuple[int, int] | None) -> str:
    return f" of {limit[0]}" if limit else ""


def _limit() -> tuple[int, int] | None:
    if sys.platform == "win32":
        return None
    import resource

    return resource.getrlimit(resource.RLIMIT_NOFILE)


def _limit_text(exhausted: Exhausted, limit: tuple[int, int] | None) -> str:
    if exhausted.system:
        try:
            with open("/proc/sys/fs/file-nr") as file:  # noqa: PTH123
                used, _, most = file.read().split()
        except (OSError, ValueError):
            return "set for the whole system (sysctl fs.file-max)"
        return f"{most} open files in the whole system, of which {used} are in use (sysctl fs.file-max)"
    if limit is None:
        return "not known on this system"
    soft, hard = limit
    raised = "" if hard in (soft, -1) else f"; `ulimit -n` can raise it to {hard}"
    return f"{soft} descriptors{raised}"


def _types_text(types: dict[int, str]) -> str:
    counts = Counter(types.values()).most_common()
    return f"{len(types)}: " + ", ".join(
        f"{count} {fd_type if count > 1 else _ONE[fd_type]}" for fd_type, count in counts
    )


def _groups(fds: Iterable[int]) -> list[_Group]:
    """Return the sockets by opener, most first."""
    own = fds_of_this_plugin()
    unknown = _UNKNOWN if openers.are_known() else _UNWATCHED
    until = monotonic() + _LOOKING
    found: dict[str, Counter[str]] = {}
    for fd in fds:
        opener = _OWN if fd in own else "others: there was no time to look at them"
        status = "socket"
        if monotonic() < until and fd not in own:
            inode = own_fds.socket_inode(fd)
            opener = (openers.opened_here(inode) if inode is not None else None) or unknown
            status = _status(fd)
        found.setdefault(opener, Counter())[status] += 1
    groups = [
        _Group(sum(statuses.values()), opener, ", ".join(_counted(statuses)))
        for opener, statuses in found.items()
    ]
    return sorted(groups, key=lambda group: -group.size)


def _status(fd: int) -> str:
    entry = own_socket.describe(fd)
    if entry is None:
        return "other protocol"
    return entry.protocol if entry.status == "NONE" else f"{entry.protocol} {entry.status}"


def _counted(statuses: Counter[str]) -> list[str]:
    if len(statuses) == 1:
        return list(statuses)
    return [f"{count} {status}" for status, count in statuses.most_common(4)]


def _files(types: dict[int, str]) -> list[str]:
    """List files that are open several times, for example a log or a database."""
    names: Counter[str] = Counter()
    for fd in [fd for fd, fd_type in types.items() if fd_type == own_fds.FILE][:10_000]:
        try:
            names[os.readlink(f"{own_fds.FD_DIRECTORY}/{fd}")] += 1  # noqa: PTH115
        except OSError:
            continue
    often = [(name, count) for name, count in names.most_common(_MOST_FILES) if count > 1]
    return [f"  file     {count} times {shortened(printable(name), 200)}" for name, count in often]


def _children() -> list[str]:
    """List the descendants with the most descriptors."""
    counts = [(count, pid) for pid in holders.descendants(os.getpid()) if (count := _count(pid))]
    return [
        f"  child    process {pid} has {count} open: {short_command(holders.command_line(pid) or 'ended', 70)}"
        for count, pid in sorted(counts, reverse=True)[:_MOST_FILES]
    ]


def _count(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0
