"""Observe the calls of a few Python functions without a visible change to them.

From Python 3.12 on, `sys.monitoring` reports local events of their code objects. It has six tool ids. If a suite asks for
the id in use here, the suite gets it, and these events move to another id. On 3.11, or with no id left, the function runs
another code object, which calls the original one. The function object, its signature and its source position stay the same.
"""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import CodeType, FrameType

    Started = Callable[[FrameType], None]
    Returned = Callable[[FrameType, Any], None]

_monitoring: Final[Any] = getattr(sys, "monitoring", None)
_TOOL_IDS: Final = (5, 4, 3)
"""The ids to use. The others are reserved for debuggers, coverage and profilers."""
_NAME: Final = "pytest-sockets"


class Watched(NamedTuple):
    """A function, its original code object, and the callbacks for its events."""

    function: Any
    """A FunctionType."""
    code: CodeType
    started: Started | None
    returned: Returned | None


class CodeEvents:
    """Calls `started(frame)` when a function begins and `returned(frame, value)` just before it returns."""

    def __init__(self) -> None:
        self._watched: list[Watched] = []
        self._way: _Monitoring | _StandIns | None = None

    @property
    def active(self) -> bool:
        """Whether functions are being watched."""
        return self._way is not None

    def start(self) -> None:
        """Start without any watched function."""
        self._way = _Monitoring.start(self._move) or _StandIns()

    def watch(
        self, function: Any, *, started: Started | None = None, returned: Returned | None = None
    ) -> None:
        """Watch a Python function. Ignore a function that is watched already, and anything without Python code."""
        if type(function) is not types.FunctionType or self._way is None:
            return
        if all(one.function is not function for one in self._watched):
            watched = Watched(function, function.__code__, started, returned)
            self._watched.append(watched)
            self._way.add(watched)

    def stop(self) -> None:
        """Restore every function."""
        way, self._way = self._way, None
        if way is not None:
            way.stop(self._watched)
        self._watched.clear()

    def _move(self, wanted: int) -> None:
        """Give the tool id `wanted` to the suite. Continue with another id, or with stand-ins."""
        if self._way is not None:
            self._way.stop(self._watched)
            self._way = _Monitoring.start(self._move, wanted) or _StandIns()
            for watched in self._watched:
                self._way.add(watched)


class _Monitoring:
    """One tool of `sys.monitoring`."""

    def __init__(self, tool: int, move: Callable[[int], None]) -> None:
        self._tool = tool
        self._real = _monitoring.use_tool_id
        # By the id of the code object, since hashing a code object hashes all its instructions.
        self._started: dict[int, Started] = {}
        self._returned: dict[int, Returned] = {}
        started, returned = self._started, self._returned

        def begins(code: CodeType, _: int) -> None:
            __tracebackhide__ = True
            handle = started.get(id(code))
            if handle is not None:
                handle(sys._getframe(1))

        def returns(code: CodeType, _: int, value: Any) -> None:
            __tracebackhide__ = True
            handle = returned.get(id(code))
            if handle is not None:
                handle(sys._getframe(1), value)

        def use_tool_id(tool_id: int, name: str, /) -> None:
            """Register a tool id. pytest-sockets replaces this function, and gives up its own id on demand."""
            __tracebackhide__ = True
            if tool_id == tool:
                move(tool)
            self._real(tool_id, name)

        _monitoring.register_callback(tool, _monitoring.events.PY_START, begins)
        _monitoring.register_callback(tool, _monitoring.events.PY_RETURN, returns)
        self._stand_in = _monitoring.use_tool_id = use_tool_id

    @classmethod
    def start(cls, move: Callable[[int], None], wanted: int | None = None) -> _Monitoring | None:
        """Return an instance with a free id other than `wanted`; None if there is no such id."""
        for tool in _TOOL_IDS if _monitoring is not None else ():
            if tool != wanted and _monitoring.get_tool(tool) is None:
                _monitoring.use_tool_id(tool, _NAME)
                return cls(tool, move)
        return None

    def add(self, watched: Watched) -> None:
        """Report the events of this function."""
        code, wanted = watched.code, 0
        if watched.started is not None:
            self._started[id(code)] = watched.started
            wanted |= _monitoring.events.PY_START
        if watched.returned is not None:
            self._returned[id(code)] = watched.returned
            wanted |= _monitoring.events.PY_RETURN
        _monitoring.set_local_events(self._tool, code, wanted)

    def stop(self, watched: Iterable[Watched]) -> None:
        """Release the tool id."""
        self._started.clear()
        self._returned.clear()
        if _monitoring.use_tool_id is self._stand_in:
            _monitoring.use_tool_id = self._real
        if _monitoring.get_tool(self._tool) != _NAME:  # the suite has freed it
            return
        for one in watched:
            _monitoring.set_local_events(self._tool, one.code, 0)
        for event in (_monitoring.events.PY_START, _monitoring.events.PY_RETURN):
            _monitoring.register_callback(self._tool, event, None)
        _monitoring.free_tool_id(self._tool)


class _StandIns:
    """Replacement code objects for the watched functions."""

    def add(self, watched: Watched) -> None:
        """Install the replacement code object."""
        watched.function.__code__ = _stand_in(watched)

    def stop(self, watched: Iterable[Watched]) -> None:
        """Restore the original code objects."""
        for one in watched:
            one.function.__code__ = one.code


_TEMPLATE: Final = (
    "def outer({free}):\n"
    " def stand_in({parameters}): {free}; __tracebackhide__ = True; _started = '<started>'; _original = '<original>'; "
    "_returned = '<returned>'; _started(); _value = _original({arguments}); _returned(_value); return _value"
)
"""A single line, so that a traceback shows the first line of the original function. `free` are its free variables, such as
`__class__`: a code object can only be replaced by one with the same free variables."""
_VARARGS: Final = 0x04
_VARKEYWORDS: Final = 0x08


def _stand_in(watched: Watched) -> CodeType:
    """Return code with the parameters, name and position of the original. It calls the original between the two events."""
    function, code = watched.function, watched.code
    started, returned = watched.started, watched.returned

    def on_start() -> None:
        __tracebackhide__ = True
        if started is not None:
            started(sys._getframe(1))

    def on_return(value: Any) -> None:
        __tracebackhide__ = True
        if returned is not None:
            returned(sys._getframe(1), value)

    parameters, arguments = _parameters(code)
    free = ", ".join(code.co_freevars)
    source = _TEMPLATE.format(free=free, parameters=parameters, arguments=arguments).replace(": ;", ":")
    (outer,) = _codes_in(compile(source, code.co_filename, "exec"))
    (template,) = _codes_in(outer)
    original = types.FunctionType(code, function.__globals__, code.co_name, None, function.__closure__)
    constants: dict[object, Any] = {"<started>": on_start, "<original>": original, "<returned>": on_return}
    return template.replace(
        co_consts=tuple(constants.get(one, one) if type(one) is str else one for one in template.co_consts),
        co_filename=code.co_filename,
        co_name=code.co_name,
        co_qualname=code.co_qualname,
        co_firstlineno=code.co_firstlineno,
    )


def _codes_in(code: CodeType) -> list[CodeType]:
    return [one for one in code.co_consts if type(one) is types.CodeType]


def _parameters(code: CodeType) -> tuple[str, str]:
    """Return the parameters as a definition lists them, without defaults, and as a call passes them on."""
    named = code.co_argcount + code.co_kwonlyargcount
    positional, keywords = code.co_varnames[: code.co_argcount], code.co_varnames[code.co_argcount : named]
    rest = list(code.co_varnames[named:])
    star = f"*{rest.pop(0)}" if code.co_flags & _VARARGS else ""
    stars = f"**{rest.pop(0)}" if code.co_flags & _VARKEYWORDS else ""
    first = list(positional)
    if code.co_posonlyargcount:
        first.insert(code.co_posonlyargcount, "/")
    listed = [*first, star or ("*" if keywords else ""), *keywords, stars]
    passed = [*positional, star, *(f"{name}={name}" for name in keywords), stars]
    return ", ".join(filter(None, listed)), ", ".join(filter(None, passed))
