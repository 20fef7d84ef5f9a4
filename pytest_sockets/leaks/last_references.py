"""Find the sockets that die when pytest drops the fixture values of a finished test.

pytest drops `item.funcargs` after the report of the teardown. A socket that only such a value refers to dies then, so it is
not left open. The calculation is that of the garbage collector: if an object has more references than those from within the
group, something outside keeps it alive, and with it all objects that it refers to. No reference is dropped for this check.
"""

from __future__ import annotations

import collections
import gc
import sys
import types
import weakref
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pytest_sockets.leaks.reachability import walk
from pytest_sockets.leaks.safe_reading import of_class

if TYPE_CHECKING:
    from collections.abc import Container

_MOST_OBJECTS: Final = 50_000


class Dying(NamedTuple):
    """The sockets that only the fixture values keep alive."""

    socks: frozenset[int] = frozenset()
    may_close: bool = False
    """Whether a finalizer of the suite runs before they die, and may close them."""


def dying_with(values: dict[str, Any], socks: Container[int]) -> Dying:
    """Return those of `socks` (ids of objects) that die with `values`. A group that is too large counts as kept."""
    nodes = list(walk(list(values.values()), _MOST_OBJECTS))
    if len(nodes) >= _MOST_OBJECTS or not any(id(node) in socks for node in nodes):
        return Dying()
    inside = {id(node): position for position, node in enumerate(nodes)}
    referred: collections.Counter[int] = collections.Counter(id(value) for value in values.values())
    leads_to: list[list[int]] = []
    for node in nodes:
        referents = [id(one) for one in gc.get_referents(node) if id(one) in inside]
        referred.update(referents)
        leads_to.append(referents)
        del node  # This variable would be one reference more than the others have.
    kept = _kept_from_outside(nodes, referred)
    waiting = list(kept)
    while waiting:
        for one in leads_to[inside[waiting.pop()]]:
            if one not in kept:
                kept.add(one)
                waiting.append(one)
    dying = [node for node in nodes if id(node) not in kept]
    found = frozenset(id(node) for node in dying if id(node) in socks)
    return Dying(found, may_close=bool(found) and _has_finalizer(dying))


def _kept_from_outside(nodes: list[Any], referred: collections.Counter[int]) -> set[int]:
    # A fresh list has only the references of this calculation, however the interpreter counts them.
    nodes.append([])
    counts = [sys.getrefcount(node) for node in nodes]
    nodes.pop()
    own = counts.pop()
    return {id(node) for node, count in zip(nodes, counts, strict=True) if count - referred[id(node)] > own}


def _has_finalizer(dying: list[Any]) -> bool:
    if any(type(of_class(node, "__del__")) is types.FunctionType for node in dying):
        return True
    registered = getattr(weakref.finalize, "_registry", {})
    ids = {id(node) for node in dying}
    return any(id(info.weakref()) in ids for info in tuple(registered.values()))
