"""Which sockets die when pytest drops the fixture values of a finished test?

pytest drops `item.funcargs` after the report of the teardown. A socket that only such a value keeps dies then, so it is not
open after all. This is the collector's own calculation: an object whose reference count is higher than the number of
references from within the group is kept from outside, and so is all that it refers to. Nothing is dropped to find out.
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
    """The sockets, by the id of their objects, that only these values keep."""

    socks: frozenset[int] = frozenset()
    may_close: bool = False
    """A finalizer of the suite runs before they die, and may close them."""


def dying_with(values: dict[str, Any], socks: Container[int]) -> Dying:
    """Those of `socks` that die when `values` is dropped; a large group is taken as kept."""
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
        del node  # a reference more than the others have
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
    # Has only the references that this calculation makes, however the interpreter counts them.
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
