"""What still refers to a leaked socket object: the chain from it to a name that the user can find in the code.

`gc.get_referrers` looks at every tracked object of the process (10-50 ms in a large suite), so this runs only for findings,
once for each opening line.
"""

from __future__ import annotations

import gc
import sys
import threading
import types
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pytest_sockets.originals import monotonic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sockets.leaks.call_site import Places

_HOPS: Final = 20
"""From a global `requests.Session` to the socket of its connection there are eleven."""
_LONGEST: Final = 1.0
"""Seconds for one chain, each hop looks at the whole heap."""
_SHOWN: Final = 6
_NO_END: Final = "... no name was found further on"


class Link(NamedTuple):
    """One step from the socket outwards. A link without `holder` is the end: a name in the user's code."""

    text: str
    rank: int
    holder: Any = None


def holders(sock: Any, places: Places) -> tuple[str, ...]:
    """The chain as sentences, nearest first; empty if nothing tracked refers to the object.

    Of a long one the middle is left out: its end is the name to look for.
    """
    chain: list[str] = []
    seen = {id(sock)}
    node = sock
    deadline = monotonic() + _LONGEST
    while len(chain) < _HOPS and monotonic() < deadline:
        link = _best_link(node, seen, places)
        if link is None:
            break
        chain.append(link.text)
        if link.holder is None:
            return _shortened(chain)
        node = link.holder
        seen.add(id(node))
    return (*chain[: _SHOWN - 2], _NO_END) if chain else ()


def _shortened(chain: list[str]) -> tuple[str, ...]:
    left_out = len(chain) - (_SHOWN - 1)
    if left_out <= 1:
        return tuple(chain)
    end = _SHOWN // 2
    return (*chain[: _SHOWN - 1 - end], f"... {left_out} objects further", *chain[-end:])


def _best_link(node: Any, seen: set[int], places: Places) -> Link | None:
    running = _in_running_frame(node, places)
    if running is not None:
        return running
    referrers = [one for one in gc.get_referrers(node) if id(one) not in seen and not _is_our_own(one)]
    dicts = [one for one in referrers if isinstance(one, dict)]
    owners = gc.get_referrers(*dicts) if dicts else []  # one look at the heap for all of them
    best: Link | None = None
    for referrer in referrers:
        is_dict = isinstance(referrer, dict)
        link = _link_of_dict(referrer, node, owners, places) if is_dict else _link(referrer, node, places)
        # Objects that refer to each other are met again through their dictionaries.
        if link is not None and id(link.holder) not in seen and (best is None or link.rank < best.rank):
            best = link
    return best


def _is_our_own(referrer: Any) -> bool:
    if isinstance(referrer, types.FrameType):
        return str(referrer.f_globals.get("__name__", "")).startswith("pytest_sockets.")
    return type(referrer).__module__.startswith("pytest_sockets.")


def _is_pytests(referrer: Any) -> bool:
    return type(referrer).__module__.split(".", 1)[0] in ("_pytest", "pluggy")


def _in_running_frame(node: Any, places: Places) -> Link | None:
    """A local variable of a running thread: no object that the collector tracks refers to it there."""
    names = {thread.ident: thread for thread in threading.enumerate()}
    for ident, top in _frames_of_others().items():
        for frame in _outwards(top):
            for name, value in tuple(frame.f_locals.items()):
                if value is node:
                    thread = names.get(ident)
                    kind = "daemon thread" if thread is not None and thread.daemon else "thread"
                    title = f"{kind} {thread.name!r}" if thread is not None else "thread"
                    return Link(f"local `{name}` of running {title}, {_place(frame, places)}", 0)
    return None


def _frames_of_others() -> dict[int, types.FrameType]:
    """Each thread's innermost frame, but not the asking one's; that is told by its code, since gevent replaces get_ident().

    Our own frame in a local of our own would be a cycle that keeps the socket alive until the collector runs.
    """
    frames = sys._current_frames()
    for ident in tuple(frames):
        if _is_our_own(frames[ident]):
            del frames[ident]
    return frames


def _outwards(frame: types.FrameType | None) -> Iterator[types.FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _place(frame: types.FrameType, places: Places) -> str:
    return f"{places.relative(frame.f_code.co_filename)}:{frame.f_lineno} in {frame.f_code.co_name}"


def _link(referrer: Any, node: Any, places: Places) -> Link | None:
    if isinstance(referrer, types.FrameType):
        return _link_of_frame(referrer, node, places)
    if isinstance(referrer, types.BuiltinFunctionType):
        return Link(
            f"bound method {referrer.__qualname__}", 10, referrer
        )  # `sock.fileno`, of an assert perhaps
    if isinstance(referrer, (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)):
        return Link(f"suspended {_kind(referrer)} {referrer.__qualname__}", 3)
    if isinstance(referrer, types.CellType):
        return Link("a closure variable", 5, referrer)
    if isinstance(referrer, types.FunctionType):
        return Link(f"function {referrer.__qualname__}", 3)
    if isinstance(referrer, types.MethodType):
        return Link(f"bound method {referrer.__func__.__qualname__}", 7, referrer)
    if isinstance(referrer, (list, tuple, set, frozenset)):
        return Link(f"an item of a {type(referrer).__name__}", 6, referrer)
    return _link_of_instance(referrer, node)


def _link_of_frame(frame: types.FrameType, node: Any, places: Places) -> Link | None:
    names = [name for name, value in tuple(frame.f_locals.items()) if value is node]
    # pytest rewrites asserts: what they compute has names that nobody wrote.
    name = next((name for name in names if not name.startswith("@py_")), "?")
    return Link(f"local `{name}` of {_place(frame, places)} (a frame kept alive, by a traceback perhaps)", 9)


def _kind(referrer: Any) -> str:
    return type(referrer).__name__.replace("_", " ")


def _link_of_dict(referrer: dict[Any, Any], node: Any, owners: list[Any], places: Places) -> Link | None:
    """`owners` refer to this dictionary, or to another one."""
    key = next((key for key, value in tuple(referrer.items()) if value is node), None)
    if key is None:
        return None
    if "__name__" in referrer and "__spec__" in referrer:
        file = referrer.get("__file__")
        where = places.relative(file) if file else referrer["__name__"]
        return Link(f"module global `{key}` of {where}", 1)
    for owner in owners:
        if _is_pytests(owner):
            continue
        if isinstance(owner, types.FrameType) and owner.f_locals is referrer:
            return None if _is_our_own(owner) else _link_of_frame(owner, node, places)
        if isinstance(owner, type) and vars(owner).get(key) is node:
            return Link(f"class attribute `{key}` of {owner.__module__}.{owner.__qualname__}", 1)
        if getattr(owner, "__dict__", None) is referrer and not _is_our_own(owner):
            return Link(f"attribute `{key}` of {_name(owner)}", _rank(owner), owner)
    return Link(f"a dict, under the key {str(key)[:40]!r}", 6, referrer)


def _link_of_instance(referrer: Any, node: Any) -> Link | None:
    if _is_pytests(referrer):
        return Link("pytest keeps that until the session ends", 8)
    if isinstance(referrer, type):
        key = next((key for key, value in tuple(vars(referrer).items()) if value is node), None)
        return (
            Link(f"class attribute `{key}` of {referrer.__module__}.{referrer.__qualname__}", 1)
            if key
            else None
        )
    try:
        key = next((key for key, value in tuple(vars(referrer).items()) if value is node), None)
    except TypeError:
        key = None
    if key is not None:
        return Link(f"attribute `{key}` of {_name(referrer)}", _rank(referrer), referrer)
    return Link(_name(referrer), 5, referrer)


def _rank(owner: Any) -> int:
    """The user's own object says more than the SocketIO that the standard library put between."""
    return 4 if type(owner).__module__.partition(".")[0] in sys.stdlib_module_names else 2


def _name(value: Any) -> str:
    kind = type(value)
    return f"a {kind.__module__}.{kind.__qualname__} object"
