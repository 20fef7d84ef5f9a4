"""Is a socket reachable from a live fixture's value? Then it is that fixture's, whoever opened it (a lazily filled pool).

The search follows what the collector follows (`gc.get_referents`), through instances, containers, closures, suspended
generators and coroutines. It stops at what knows everything: modules, classes, code, event loops, contexts, loggers, and
pytest's own objects; beyond them each socket of the process would be found.
"""

from __future__ import annotations

import contextvars
import gc
import logging
import selectors
import sys
import types
import weakref
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pytest_sockets.leaks.records import Owner, Record

_MOST_OBJECTS: Final = 200_000
"""A tenth of a second: what a fixture's data frames hold beyond it is not searched."""
LEAVES: Final = frozenset((str, bytes, bytearray, int, float, complex, bool, type(None), object))
"""What leads nowhere."""
_WALLS: Final = (
    types.ModuleType, type, types.CodeType, types.BuiltinFunctionType, contextvars.Context, logging.Logger, logging.Manager,
    selectors.BaseSelector,
)  # fmt: skip
_WEAK: Final = (weakref.WeakSet, weakref.WeakValueDictionary, weakref.WeakKeyDictionary)
_FOREIGN_ROOMS: Final = ("_pytest", "pluggy", "pytest_sockets")


def keepers(records: Iterable[Record], live: Iterable[tuple[Owner, list[Any]]]) -> dict[Record, Owner]:
    """For each of `records` that a live owner's objects lead to, that owner; the narrowest first in `live` wins."""
    missing = list(records)
    kept: dict[Record, Owner] = {}
    for owner, roots in live:
        if not missing:
            break
        for record in _found(missing, roots):
            kept[record] = owner
        missing = [record for record in missing if record not in kept]
    return kept


def reaches(root: Any, records: Iterable[Record]) -> bool:
    """Whether `root` leads to one of the sockets."""
    return next(iter(_found(list(records), [root])), None) is not None


def keepers_of_processes(pids: Iterable[int], live: Iterable[tuple[Owner, list[Any]]]) -> dict[int, Owner]:
    """For each process whose Popen, or object of that kind, a live owner's objects lead to: that owner."""
    missing = set(pids)
    kept: dict[int, Owner] = {}
    for owner, roots in live:
        for node in walk(roots) if missing else ():
            pid = _pid(node)
            if pid in missing:
                missing.discard(pid)
                kept[pid] = owner
    return kept


def _pid(node: Any) -> int:
    """subprocess.Popen and asyncio's have an attribute `pid`, multiprocessing's processes keep such an object."""
    attributes = getattr(node, "__dict__", None)
    pid = attributes.get("pid") if type(attributes) is dict else None
    return pid if type(pid) is int else -1


def _found(records: list[Record], roots: list[Any]) -> Iterator[Record]:
    by_object = {id(sock): record for record in records if (sock := record.ref()) is not None}
    by_fd = {record.key[0]: record for record in records if record.key and record.ref() is None}
    by_thread = _by_thread(records)
    for node in walk(roots):
        record = by_object.get(id(node)) or (by_fd.get(_fileno(node)) if by_fd else None)
        if record is not None:
            yield record
        if by_thread:
            yield from by_thread.get(id(node), ())


def _by_thread(records: list[Record]) -> dict[int, list[Record]]:
    """Those whose thread still is in the function that opened them: its frames hold them, which no object refers to."""
    frames = sys._current_frames()
    found: dict[int, list[Record]] = {}
    for record in records:
        thread = record.maker()
        if thread is not None and record.origin is not None:
            frame = frames.get(thread.ident or 0)
            while frame is not None and frame.f_code not in record.origin.task:
                frame = frame.f_back
            if frame is not None:
                found.setdefault(id(thread), []).append(record)
    return found


def walk(roots: list[Any], most: int = _MOST_OBJECTS) -> Iterator[Any]:
    """What `roots` lead to, themselves first, nearest first; at most so many objects."""
    seen: set[int] = set()
    walls: dict[type, bool] = {}
    layer = roots
    is_wall = _wall_test()
    while layer:
        following: list[Any] = []
        for node in layer:
            kind = type(node)
            if kind in LEAVES or id(node) in seen:
                continue
            seen.add(id(node))
            wall = walls.get(kind)
            if wall is None:
                wall = walls[kind] = is_wall(kind)
            if wall:
                continue
            yield node
            if len(seen) >= most:
                return
            following.extend(_next(kind, node))
        layer = following


def _next(kind: type, node: Any) -> list[Any]:
    if kind is types.FunctionType:  # not its globals: they lead to everything
        return [node.__closure__, node.__defaults__, node.__kwdefaults__, node.__dict__]
    if kind is types.FrameType:
        return list(node.f_locals.values())
    if kind is types.GeneratorType or kind is types.CoroutineType or kind is types.AsyncGeneratorType:
        return held_by(node)
    if kind is contextvars.ContextVar:
        return [node.get(None)]
    if issubclass(kind, _WEAK):  # a registry of what it has handed out, to close it later
        return [*gc.get_referents(node), *_members(node)]
    return gc.get_referents(node)


def frame_of(suspended: Any) -> types.FrameType | None:
    """Where a generator, coroutine or asynchronous generator stands; None once it has ended."""
    frame: types.FrameType | None = None
    for name in ("gi_frame", "cr_frame", "ag_frame"):
        frame = frame or getattr(suspended, name, None)
    return frame


def held_by(suspended: Any) -> list[Any]:
    """Its variables, and what only its value stack holds: `with service(): yield`, `yield from`, `await`."""
    frame = frame_of(suspended)
    if frame is None:
        return []
    held = [*frame.f_locals.values(), *gc.get_referents(suspended)]
    if sys.version_info < (3, 11):  # there the frame has the stack, beside what leads to everything
        beyond = {id(frame.f_globals), id(frame.f_builtins), id(frame.f_back), id(frame.f_locals)}
        held += [node for node in gc.get_referents(frame) if id(node) not in beyond]
    return held


def _members(container: Any) -> list[Any]:
    try:
        return list(container.values() if isinstance(container, weakref.WeakValueDictionary) else container)
    except RuntimeError:  # another thread changes it
        return []


def _wall_test() -> Callable[[type], bool]:
    events = sys.modules.get("asyncio.events")
    walls = (*_WALLS, events.AbstractEventLoop) if events is not None else _WALLS

    def is_wall(kind: type) -> bool:
        # The bases, too: plugins derive items and collectors of their own from pytest's.
        rooms = {str(base.__module__).split(".", 1)[0] for base in kind.__mro__}
        return issubclass(kind, walls) or not rooms.isdisjoint(_FOREIGN_ROOMS)

    return is_wall


def _fileno(node: Any) -> int:
    """The descriptor of a C extension's connection object (psycopg, pycurl multi ...); -1 for what has none."""
    method = getattr(type(node), "fileno", None)
    if method is None or isinstance(node, type):
        return -1
    try:
        fd = node.fileno()
    except Exception:  # noqa: BLE001  (closed files, detached objects: any library's own error)
        return -1
    return fd if isinstance(fd, int) else -1
