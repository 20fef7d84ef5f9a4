"""Find the sockets that are reachable from a live fixture's value. That fixture owns them (a lazily filled pool).

The search follows the references that the garbage collector follows (`gc.get_referents`), through instances, containers,
closures, suspended generators and coroutines. It stops at objects that lead to every socket of the process: modules,
classes, code, event loops, contexts, loggers, and pytest's own objects.
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

from pytest_sockets.leaks.safe_reading import (
    attributes,
    descriptor,
    members,
    mro,
    package_of,
    referents,
    variables,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pytest_sockets.leaks.owner import Owner
    from pytest_sockets.leaks.records import Record

_MOST_OBJECTS: Final = 200_000
"""Takes a tenth of a second. Larger values, such as data frames, are not searched any further."""
LEAVES: Final = frozenset((str, bytes, bytearray, int, float, complex, bool, type(None), object))
"""Types that refer to nothing."""
_OPAQUE_TYPES: Final = frozenset(
    (
        types.ModuleType, type, types.CodeType, types.BuiltinFunctionType, contextvars.Context, logging.Logger,
        logging.Manager, selectors.BaseSelector,
    )
)  # fmt: skip
_WEAK: Final = frozenset((weakref.WeakSet, weakref.WeakValueDictionary, weakref.WeakKeyDictionary))
SUSPENDED: Final = frozenset((types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType))
_OPAQUE_PACKAGES: Final = frozenset(("_pytest", "pluggy", "pytest_sockets"))


def keepers(records: Iterable[Record], live: Iterable[tuple[Owner, list[Any]]]) -> dict[Record, Owner]:
    """Return the live owner whose objects lead to each record. The first in `live` wins, so list the narrowest first."""
    missing = list(records)
    kept: dict[Record, Owner] = {}
    for owner, roots in live:
        if not missing:
            break
        for record in _found(missing, roots):
            kept[record] = owner
        missing = [record for record in missing if record not in kept]
    return kept


def keepers_of_processes(pids: Iterable[int], live: Iterable[tuple[Owner, list[Any]]]) -> dict[int, Owner]:
    """Return, by pid, the live owner whose objects lead to the process's Popen or similar object."""
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
    """Return the pid, or -1. Popen objects of subprocess and asyncio have it; multiprocessing's processes refer to one."""
    pid = attributes(node).get("pid")
    return pid if type(pid) is int else -1


def _found(records: list[Record], roots: list[Any]) -> Iterator[Record]:
    by_object = {id(record.ref()): record for record in records if record.ref() is not None}
    by_fd = {record.key[0]: record for record in records if record.key and record.ref() is None}
    by_thread = _by_thread(records)
    for node in walk(roots):
        record = by_object.get(id(node)) or (by_fd.get(descriptor(node)) if by_fd else None)
        if record is not None:
            yield record
        if by_thread:
            yield from by_thread.get(id(node), ())


def _by_thread(records: list[Record]) -> dict[int, list[Record]]:
    """Return the records whose thread is still in the opening function, by thread. Only its frames refer to the sockets."""
    found: dict[int, list[Record]] = {}
    started = [
        record for record in records if record.opener_thread() is not None and record.call_site is not None
    ]
    frames = sys._current_frames() if started else {}
    for record in started:
        thread, call_site = record.opener_thread(), record.call_site
        frame = frames.get(thread.ident or 0) if thread is not None else None
        while frame is not None and call_site is not None and frame.f_code not in call_site.task:
            frame = frame.f_back
        if frame is not None:
            found.setdefault(id(thread), []).append(record)
        del frame
    frames.clear()  # They include this thread's frame: a cycle that would keep its variables alive.
    return found


def walk(roots: list[Any], most: int = _MOST_OBJECTS) -> Iterator[Any]:
    """Yield at most `most` objects that `roots` lead to, nearest first, beginning with `roots`."""
    seen: set[int] = set()
    opaque: dict[type, bool] = {}
    layer = roots
    is_opaque = _opacity()
    while layer:
        following: list[Any] = []
        for node in layer:
            kind = type(node)
            if kind in LEAVES or id(node) in seen:
                continue
            seen.add(id(node))
            stop = opaque.get(kind)
            if stop is None:
                stop = opaque[kind] = is_opaque(kind)
            if stop:
                continue
            yield node
            if len(seen) >= most:
                return
            following.extend(_next(kind, node))
        layer = following


def _next(kind: type, node: Any) -> list[Any]:
    if kind is types.FunctionType:  # Its globals lead to everything.
        return [node.__closure__, node.__defaults__, node.__kwdefaults__, node.__dict__]
    if kind is types.FrameType:
        return list(variables(node).values())
    if kind in SUSPENDED:
        return held_by(node)
    if kind is contextvars.ContextVar:
        return [node.get(None)]
    if not _WEAK.isdisjoint(mro(kind)):  # A registry of the objects that it has handed out and will close.
        return [*gc.get_referents(node), *members(node)]
    return gc.get_referents(node)


def frame_of(suspended: Any) -> types.FrameType | None:
    """Return the frame of a generator, coroutine or asynchronous generator; None once it has ended."""
    frame: types.FrameType | None = None
    if type(suspended) is types.GeneratorType:
        frame = suspended.gi_frame
    elif type(suspended) is types.CoroutineType:
        frame = suspended.cr_frame
    elif type(suspended) is types.AsyncGeneratorType:
        frame = suspended.ag_frame
    return frame


def held_by(suspended: Any) -> list[Any]:
    """Return its variables, and the objects on its value stack alone: `with service(): yield`, `yield from`, `await`."""
    frame = frame_of(suspended)
    return referents(suspended, frame) if frame is not None else []


def _opacity() -> Callable[[type], bool]:
    events = sys.modules.get("asyncio.events")
    opaque = _OPAQUE_TYPES | {events.AbstractEventLoop} if events is not None else _OPAQUE_TYPES

    def is_opaque(kind: type) -> bool:
        # Check the bases too: plugins derive their items and collectors from pytest's.
        bases = mro(kind)
        return not opaque.isdisjoint(bases) or any(package_of(base) in _OPAQUE_PACKAGES for base in bases)

    return is_opaque
