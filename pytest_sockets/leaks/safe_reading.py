"""How is an object read without running its code?

Leak detection looks at every kind of object of a suite: proxies that raise outside of their context, mocks, lazy
connections. `isinstance` asks an object for its `__class__`, and `getattr` may run a property. Everything here reads types
and instance dictionaries at C level instead.
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
"""Libraries whose own `fileno` written in Python only reads a C object's descriptor."""
_SNAPSHOTS: Final = sys.version_info < (3, 13)
"""Reading `frame.f_locals` stores a dictionary in the frame, which keeps each local variable alive after its `del`."""
_OWN_REFERENCES: Final = 3
"""The frame's, the variable's and the argument's of `sys.getrefcount`."""


def mro(kind: type) -> tuple[type, ...]:
    """The base classes of `kind`, also where a metaclass hides them."""
    found: tuple[type, ...] = _MRO(kind)
    return found


def is_a(value: object, *kinds: type) -> bool:
    """`isinstance` by the true type only."""
    return not set(kinds).isdisjoint(mro(type(value)))


def namespace(kind: type) -> types.MappingProxyType[str, Any]:
    """What the class statement of `kind` defined."""
    found: types.MappingProxyType[str, Any] = _NAMESPACE(kind)
    return found


def module_of(kind: type) -> str:
    """The name of the module that defines `kind`, or an empty text."""
    try:
        name = _MODULE(kind)
    except AttributeError:
        return ""
    return name if type(name) is str else ""


def package_of(kind: type) -> str:
    """The first part of the module's name."""
    return module_of(kind).partition(".")[0]


def full_name(kind: type) -> str:
    """The class as `module.qualified_name`."""
    return f"{module_of(kind)}.{_QUALNAME(kind)}"


def attributes(value: object) -> dict[str, Any]:
    """The instance's own dictionary; empty if it has none, or a property in its place."""
    for base in mro(type(value)):
        reader: Any = namespace(base).get("__dict__")
        if type(reader) in (types.GetSetDescriptorType, types.MemberDescriptorType):
            found: Any = reader.__get__(value)
            return found if type(found) is dict else {}
    return {}


def slot(value: object, name: str) -> Any:
    """What an instance keeps in this slot, or in its dictionary; None if it has neither."""
    member = of_class(value, name)
    if type(member) is not types.MemberDescriptorType:
        return attributes(value).get(name)
    try:
        return member.__get__(value)
    except AttributeError:  # never set
        return None


def of_class(value: object, name: str) -> Any:
    """What the class of `value` defines under this name, unbound; None if it does not."""
    for base in mro(type(value)):
        known = namespace(base)
        if name in known:
            return known[name]
    return None


def variables(frame: types.FrameType) -> dict[str, Any]:
    """The frame's variables, copied. Nothing stays in the frame that would keep their values alive."""
    return _read(frame, None)[0]


def referents(suspended: Any, frame: types.FrameType) -> list[Any]:
    """The objects that a suspended generator or coroutine with this frame refers to, those on its value stack included."""
    return _read(frame, suspended)[1]


def _read(frame: types.FrameType, suspended: Any) -> tuple[dict[str, Any], list[Any]]:
    if not _SNAPSHOTS or not frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        return dict(frame.f_locals), gc.get_referents(suspended)
    snapshot = frame.f_locals
    copy = dict(snapshot)
    held = [one for one in gc.get_referents(suspended) if one is not snapshot]
    if sys.getrefcount(snapshot) <= _OWN_REFERENCES:  # otherwise the suite itself has called locals() there
        snapshot.clear()
    return copy, held


def descriptor(value: object) -> int:
    """The file descriptor of a C extension's object (psycopg, pycurl ...); -1 for what has none."""
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
    """That of uvloop's transports, which have no fileno()."""
    if package_of(type(value)) != "uvloop" or not _is_compiled(of_class(value, "get_extra_info")):
        return -1
    transport: Any = value
    try:
        fd = transport.get_extra_info("socket").fileno()
    except Exception:  # noqa: BLE001  (it is closed)
        return -1
    return fd if type(fd) is int else -1


def _is_compiled(method: object) -> bool:
    return type(method) in _C_METHODS or type(method).__name__ == "cython_function_or_method"


def members(container: object) -> list[Any]:
    """What a weak set or dictionary of the standard library refers to."""
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
