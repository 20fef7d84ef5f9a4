"""Find the globals, attributes and variables that a piece of code names."""

from __future__ import annotations

import dis
import functools
import types
from typing import Any, Final

from pytest_sockets.leaks.safe_reading import is_a

Names = frozenset[str]

_FUNCTIONS: Final = frozenset(
    (
        types.FunctionType, types.BuiltinMethodType, types.MethodWrapperType, types.MethodDescriptorType,
        types.WrapperDescriptorType,
    )
)  # fmt: skip


@functools.lru_cache(maxsize=1024)
def names_of(code: types.CodeType | None) -> Names:
    """Return the names of globals, attributes and imports, including those of nested functions."""
    if code is None:
        return frozenset()
    inner = (names_of(const) for const in code.co_consts if isinstance(const, types.CodeType))
    return frozenset(code.co_names).union(*inner)


@functools.lru_cache(maxsize=1024)
def names_after(code: types.CodeType, last: int) -> Names:
    """Return the same names and those of local variables, only from the instructions after `last`."""
    names: set[str] = set()
    for instruction in dis.get_instructions(code):
        if instruction.offset <= last:
            continue
        value = instruction.argval
        if isinstance(value, types.CodeType):
            names |= names_of(value)
        elif instruction.opname.startswith(("LOAD_", "IMPORT_")) and "CONST" not in instruction.opname:
            # two variables at once since 3.13
            names.update(
                name for name in (value if isinstance(value, tuple) else (value,)) if isinstance(name, str)
            )
    return frozenset(names)


@functools.lru_cache(maxsize=1024)
def names_stored(code: types.CodeType | None) -> Names:
    """Return the names of the globals and attributes to which this code assigns."""
    if code is None:
        return frozenset()
    stores = ("STORE_GLOBAL", "STORE_ATTR", "STORE_NAME")
    return frozenset(one.argval for one in dis.get_instructions(code) if one.opname in stores)


def code_of(function: Any) -> types.CodeType | None:
    if type(function) is types.MethodType or is_a(function, classmethod, staticmethod):
        function = function.__func__
    return function.__code__ if type(function) is types.FunctionType else None


def name_of(function: Any) -> str:
    """Return the name of a Python or C function or method; "" for anything else."""
    if type(function) is types.MethodType:
        function = function.__func__
    name = function.__name__ if type(function) in _FUNCTIONS else ""
    return name if type(name) is str else ""
