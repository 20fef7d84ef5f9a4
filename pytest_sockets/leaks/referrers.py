"""Find what still refers to a leaked socket object: the chain from it to a name that the user can find in the code.

The search goes outwards in layers, so the nearest name wins and a dead end costs nothing. Each layer is one call of
`gc.get_referrers`, which visits every tracked object of the process (10-50 ms in a large suite). The search therefore runs
only for findings, once for each opening line, and within a budget for the whole run.
"""

from __future__ import annotations

import gc
import sys
import threading
import types
from time import thread_time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pytest_sockets.leaks.reachability import SUSPENDED
from pytest_sockets.leaks.safe_reading import (
    attributes,
    full_name,
    is_a,
    mro,
    namespace,
    package_of,
    variables,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sockets.leaks.call_site import Places

_LAYERS: Final = 30
"""Layers to search. A global `requests.Session` is about twenty layers away from its socket, dictionaries included."""
_MOST_IN_A_LAYER: Final = 2_000
_LONGEST: Final = 1.0
"""CPU seconds for one socket, so that a busy machine finds the same names."""
_LONGEST_RUN: Final = 5.0
"""CPU seconds for all sockets of a run."""
_FURTHER: Final = 8
"""The number of layers to search for a name in the user's code once a library's name is known."""
_SHOWN: Final = 6
_NO_END: Final = "... no name was found further on"
_PYTEST: Final = frozenset(("_pytest", "pluggy"))


class Budget:
    """The CPU time for the searches of one run."""

    def __init__(self, seconds: float = _LONGEST_RUN) -> None:
        self.left = seconds
        self.cut_short = 0
        """The number of searches that were cut short or skipped for lack of time."""


class _End(NamedTuple):
    """The end of a chain: a name, or an object that needs no further explanation."""

    text: str
    rank: int
    node: int
    """The id of the object to which it refers."""


_STRONG: Final = 3
"""An end with a lower rank than this ends the search."""


def holders(sock: Any, places: Places, budget: Budget | None = None) -> tuple[str, ...]:
    """Return the chain as sentences, nearest first; empty if no tracked object refers to `sock`.

    A long chain loses its middle, since its end is the name to look for.
    """
    budget = budget or Budget()
    if budget.left <= 0:
        budget.cut_short += 1
        return ()
    started = thread_time()
    search = _Search(sock, places, started + min(_LONGEST, budget.left))
    chain = search.run()
    budget.left -= thread_time() - started
    budget.cut_short += search.cut_short
    return chain


class _Search:
    def __init__(self, sock: Any, places: Places, deadline: float) -> None:
        self._places = places
        self._deadline = deadline
        self._nodes: dict[int, Any] = {id(sock): sock}
        self._inner: dict[int, int] = {}
        """Maps an object's id to the id of the next object on the way to the socket."""
        self._running = _running_variables(places)
        self._own: set[int] = set()
        self.cut_short = False

    def run(self) -> tuple[str, ...]:
        """Return the chain to the best end."""
        best: _End | None = None
        since = 0
        frontier = list(self._nodes.values())
        for _ in range(_LAYERS):
            end, frontier = self._layer(frontier)
            if end is not None and (best is None or end.rank < best.rank):
                best = end
            since += best is not None
            if not frontier or (best is not None and (best.rank < _STRONG or since > _FURTHER)):
                break
            if thread_time() > self._deadline:
                self.cut_short = True
                break
        if best is not None:
            return _shortened([*self._chain(best.node), best.text])
        farthest = next(reversed(self._inner), None)
        chain = self._chain(farthest) if farthest is not None else []
        return (*chain[: _SHOWN - 2], _NO_END) if chain else ()

    def _layer(self, frontier: list[Any]) -> tuple[_End | None, list[Any]]:
        """Return the best end next to these objects, and the objects that refer to them."""
        ends = [_End(self._running[id(node)], 0, id(node)) for node in frontier if id(node) in self._running]
        targets = {id(node) for node in frontier}
        following: list[Any] = []
        asked = tuple(frontier)  # from Python 3.13 on, the call copies its arguments: it finds this tuple too
        self._own = {id(self._nodes), id(frontier), id(asked), id(following), id(vars(self))}
        for referrer in gc.get_referrers(*asked):
            if id(referrer) in self._nodes or id(referrer) in self._own or _is_this_plugins(referrer):
                continue
            inner = next((id(one) for one in gc.get_referents(referrer) if id(one) in targets), None)
            if inner is None:
                continue
            end = self._end(referrer, inner)
            if end is not None:
                ends.append(end)
            elif len(following) < _MOST_IN_A_LAYER:
                self._nodes[id(referrer)] = referrer
                self._inner[id(referrer)] = inner
                following.append(referrer)
        return min(ends, key=lambda end: end.rank, default=None), following

    def _end(self, referrer: Any, inner: int) -> _End | None:
        kind = type(referrer)
        node = self._nodes[inner]
        if kind is dict and "__name__" in referrer and "__spec__" in referrer:
            return self._global(referrer, node)
        if is_a(referrer, type):
            return self._class_attribute(referrer, node)
        if kind is types.FrameType:
            name = _variable(referrer, node)
            text = f"local `{name}` of {_place(referrer, self._places)} (a frame kept alive, by a traceback perhaps)"
            return _End(text, 5, inner)
        if kind in SUSPENDED:
            return _End(f"suspended {kind.__name__.replace('_', ' ')} {referrer.__qualname__}", 1, inner)
        if kind is types.FunctionType:
            return _End(f"function {referrer.__qualname__}", 2, inner)
        if package_of(kind) in _PYTEST:
            return _End("pytest keeps that until the session ends", 4, inner)
        return None

    def _global(self, known: dict[str, Any], node: Any) -> _End:
        file, name = known.get("__file__"), _key_of(known, node)
        users = type(file) is str and self._places.is_users(file)
        where = self._places.relative(file) if type(file) is str else known["__name__"]
        return _End(f"module global `{name}` of {where}", 0 if users else 3, id(node))

    def _class_attribute(self, cls: type, node: Any) -> _End | None:
        """Return the end for a class that refers to `node`, possibly as its dictionary; None for any other class."""
        own = namespace(cls)
        name, value = _key_of(own, node), node
        if name is None and type(node) is dict:
            value = self._nodes.get(self._inner.get(id(node), 0))
            name = _key_of(own, value) if value is not None else None
        return (
            _End(f"class attribute `{name}` of {full_name(cls)}", 0, id(value)) if name is not None else None
        )

    def _chain(self, outermost: int) -> list[str]:
        """Return the sentences from the socket to this object."""
        path = [outermost]
        while path[-1] in self._inner:
            path.append(self._inner[path[-1]])
        objects = [self._nodes[one] for one in reversed(path)]
        texts: list[str] = []
        position = 1
        while position < len(objects):
            inner, outer = objects[position - 1], objects[position]
            beyond = objects[position + 1] if position + 1 < len(objects) else None
            if type(outer) is dict and beyond is not None and _has_dictionary(beyond, outer):
                outer = beyond
                position += 1
            texts.append(_sentence(outer, inner))
            position += 1
        return texts


def _shortened(chain: list[str]) -> tuple[str, ...]:
    left_out = len(chain) - (_SHOWN - 1)
    if left_out <= 1:
        return tuple(chain)
    end = _SHOWN // 2
    return (*chain[: _SHOWN - 1 - end], f"... {left_out} objects further", *chain[-end:])


def _is_this_plugins(referrer: Any) -> bool:
    if type(referrer) is types.FrameType:
        return str(referrer.f_globals.get("__name__", "")).startswith("pytest_sockets.")
    return package_of(type(referrer)) == "pytest_sockets"


def _running_variables(places: Places) -> dict[int, str]:
    """Return a sentence for each variable of each running thread, by its value's id. No object refers to such values."""
    threads = {thread.ident: thread for thread in threading.enumerate()}
    found: dict[int, str] = {}
    for ident, top in _frames_of_others().items():
        thread = threads.get(ident)
        kind = "daemon thread" if thread is not None and thread.daemon else "thread"
        title = f"{kind} {thread.name!r}" if thread is not None else "thread"
        for frame in _outwards(top):
            for name, value in variables(frame).items():
                found.setdefault(id(value), f"local `{name}` of running {title}, {_place(frame, places)}")
    return found


def _frames_of_others() -> dict[int, types.FrameType]:
    """Return the innermost frame of each thread except the calling one.

    The calling thread is recognized by its code, since gevent replaces get_ident(). A frame that is stored in one of its
    own variables would be a cycle, which keeps the socket alive until the collector runs.
    """
    frames = sys._current_frames()
    for ident in tuple(frames):
        if _is_this_plugins(frames[ident]):
            del frames[ident]
    return frames


def _outwards(frame: types.FrameType | None) -> Iterator[types.FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _place(frame: types.FrameType, places: Places) -> str:
    return f"{places.relative(frame.f_code.co_filename)}:{frame.f_lineno} in {frame.f_code.co_name}"


def _variable(frame: types.FrameType, node: Any) -> str:
    names = [name for name, value in variables(frame).items() if value is node]
    # In rewritten asserts, intermediate results have names that do not occur in the source.
    return next((name for name in names if not name.startswith("@py_")), "?")


def _key_of(known: Any, node: Any) -> Any:
    """Return the key under which this dictionary or mapping proxy has `node`."""
    return next((key for key, value in tuple(known.items()) if value is node), None)


def _has_dictionary(value: Any, candidate: dict[Any, Any]) -> bool:
    return type(value) not in (list, tuple, dict) and attributes(value) is candidate


def _sentence(referrer: Any, node: Any) -> str:
    kind = type(referrer)
    if kind is types.BuiltinMethodType:
        return f"bound method {referrer.__qualname__}"  # for example `sock.fileno` in an assert
    if kind is types.MethodType:
        function = referrer.__func__
        name = function.__qualname__ if type(function) is types.FunctionType else full_name(type(function))
        return f"bound method {name}"
    if kind is types.CellType:
        return "a closure variable"
    if kind is dict:
        key = _key_of(referrer, node)
        if type(key) in (str, int, bytes):
            return f"a dict, under the key {key if type(key) is int else key[:40]!r}"
        return (
            f"a dict, under a key of type {full_name(type(key))}" if key is not None else "a dict, as a key"
        )
    if kind in (list, tuple, set, frozenset):
        return f"an item of a {kind.__name__}"
    key = _attribute(referrer, node)
    return f"attribute `{key}` of {_name(referrer)}" if key is not None else _name(referrer)


def _attribute(referrer: Any, node: Any) -> Any:
    key = _key_of(attributes(referrer), node)
    if key is not None:
        return key
    for base in mro(type(referrer)):
        for name, slot in namespace(base).items():
            if type(slot) is types.MemberDescriptorType:
                try:
                    if slot.__get__(referrer) is node:
                        return name
                except AttributeError:  # an empty slot
                    continue
    return None


def _name(value: Any) -> str:
    return f"a {full_name(type(value))} object"
