"""Read an object without running its code.

Leak detection reads all kinds of objects of a suite: proxies that raise outside their context, mocks, lazy connections.
`isinstance` reads the attribute `__class__` of an object, and `getattr` may run a property. These functions read types and
instance dictionaries at C level instead.
"""

from __future__ import annotations

import gc
import inspect
import sys
import types
import weakref
from typing import Any, Final

_MRO: Final[Any] = type.__dict__["__mro__"].__get__
_NAMESPACE: Final[Any] = type.__dict__["__dict__"].__get__
_MODULE: Final[Any] = type.__dict__["__module__"].__get__
_QUALNAME: Final[Any] = type.__dict__["__qualname__"].__get__
_C_METHODS: Final = (types.MethodDescriptorType, types.WrapperDescriptorType)
_CLIENT_LIBRARIES: Final = frozenset({"psycopg", "psycopg2", "pycurl", "zmq", "asyncpg", "asyncio"})
"""Libraries whose `fileno`, written in Python, only reads the descriptor of a C object."""
_SNAPSHOTS: Final = sys.version_info < (3, 13)
"""Whether reading `frame.f_locals` stores a dictionary in the frame. It keeps each local variable alive after its `del`."""
_OWN_REFERENCES: Final = 3
"""References to the snapshot: from the frame, from the variable and from the argument of `sys.getrefcount`."""


def mro(kind: type) -> tuple[type, ...]:
    """Return the base classes of `kind`, even if a metaclass hides them."""
    found: tuple[type, ...] = _MRO(kind)
    return found


def is_a(value: object, *kinds: type) -> bool:
    """Whether the true type of `value`, ignoring `__class__`, is one of `kinds` or a subclass."""
    return not set(kinds).isdisjoint(mro(type(value)))


def namespace(kind: type) -> types.MappingProxyType[str, Any]:
    """Return the namespace that the class statement of `kind` defined."""
    found: types.MappingProxyType[str, Any] = _NAMESPACE(kind)
    return found


def module_of(kind: type) -> str:
    """Return the name of the module that defines `kind`, or ""."""
    try:
        name = _MODULE(kind)
    except AttributeError:
        return ""
    return name if type(name) is str else ""


def package_of(kind: type) -> str:
    """Return the first part of the module's name."""
    return module_of(kind).partition(".")[0]


def full_name(kind: type) -> str:
    """Return the class as `module.qualified_name`."""
    return f"{module_of(kind)}.{_QUALNAME(kind)}"


def attributes(value: object) -> dict[str, Any]:
    """Return the instance's dictionary; empty if it has none, or if a property replaces it."""
    for base in mro(type(value)):
        reader: Any = namespace(base).get("__dict__")
        if type(reader) in (types.GetSetDescriptorType, types.MemberDescriptorType):
            found: Any = reader.__get__(value)
            return found if type(found) is dict else {}
    return {}


def slot(value: object, name: str) -> Any:
    """Return the value of this slot or dictionary entry of an instance; None if it has neither."""
    member = of_class(value, name)
    if type(member) is not types.MemberDescriptorType:
        return attributes(value).get(name)
    try:
        return member.__get__(value)
    except AttributeError:  # never set
        return None


def of_class(value: object, name: str) -> Any:
    """Return the unbound class attribute of this name; None if the class of `value` has none."""
    for base in mro(type(value)):
        known = namespace(base)
        if name in known:
            return known[name]
    return None


def variables(frame: types.FrameType) -> dict[str, Any]:
    """Return a copy of the frame's variables. No dictionary stays in the frame and keeps their values alive."""
    return _read(frame, None)[0]


def referents(suspended: Any, frame: types.FrameType) -> list[Any]:
    """Return the referents of a suspended generator or coroutine with this frame, including those on its value stack."""
    return _read(frame, suspended)[1]


def _read(frame: types.FrameType, suspended: Any) -> tuple[dict[str, Any], list[Any]]:
    if not _SNAPSHOTS or not frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        return dict(frame.f_locals), gc.get_referents(suspended)
    snapshot = frame.f_locals
    copy = dict(snapshot)
    held = [one for one in gc.get_referents(suspended) if one is not snapshot]
    if sys.getrefcount(snapshot) <= _OWN_REFERENCES:  # Otherwise the suite itself has called locals() there.
        snapshot.clear()
    return copy, held


def descriptor(value: object) -> int:
    """Return the file descriptor of a C extension's object (psycopg, pycurl ...); -1 if it has none."""
    method = of_class(value, "fileno")
    if method is None:
        return _descriptor_of_transport(value)
    if type(method) is types.FunctionType:
        if str(method.__globals__.get("__name__", "")).partition(".")[0] not in _CLIENT_LIBRARIES:
            return -1
    elif not _is_compiled(method):
        return -1
    try:
        fd = method.__get__(value)()
    except Exception:  # noqa: BLE001  (closed files, detached objects: each library raises its own)
        return -1
    return fd if type(fd) is int else -1


def _descriptor_of_transport(value: object) -> int:
    """Return the descriptor of a transport of uvloop, which has no fileno(); -1 if it has none."""
    if package_of(type(value)) != "uvloop" or not _is_compiled(of_class(value, "get_extra_info")):
        return -1
    transport: Any = value
    try:
        fd = transport.get_extra_info("socket").fileno()
    except Exception:  # noqa: BLE001  (the transport is closed)
        return -1
    return fd if type(fd) is int else -1


def _is_compiled(method: object) -> bool:
    return type(method) in _C_METHODS or type(method).__name__ == "cython_function_or_method"


def members(container: object) -> list[Any]:
    """Return the referents of a weak set or dictionary of the standard library."""
    data = attributes(container).get("data")
    references: list[Any] = []
    try:
        if type(data) is dict:
            references = [*data, *data.values()]
        elif type(data) is set:
            references = list(data)
    except RuntimeError:  # another thread changes it
        return []
    return [weakref.ref.__call__(one) for one in references if is_a(one, weakref.ref)]
