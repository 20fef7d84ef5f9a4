"""Find the objects that remaining code names, calls or resumes. Reads bytecode, a few calls deep.

The search is breadth-first, so its bounds cut off the most distant objects.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import logging
import sys
import types
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.leaks import reachability
from pytest_sockets.leaks.code_names import Names, code_of, name_of, names_after, names_of
from pytest_sockets.leaks.safe_reading import (
    attributes,
    is_a,
    module_of,
    mro,
    namespace,
    of_class,
    slot,
    variables,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEEPEST: Final = 4
"""Calls from the teardown to the function that names the pool. A call into an installed package counts twice."""
_MOST_VISITS: Final = 2_000
"""Takes a few milliseconds for a teardown that stops a whole framework."""
_MOST_KEPT: Final = 5_000
"""The number of objects to search for callbacks that the fixture has registered."""
_STACKS: Final = (contextlib.ExitStack, contextlib.AsyncExitStack)
_EXITS: Final = ("__exit__", "__aexit__")
_ENTRY_POINTS: Final = frozenset({"cls", "config", "instance", "module", "node", "obj", "parent", "session"})
_CLOSING: Final = (contextlib.closing, contextlib.aclosing)
_CONSTRUCTORS: Final = frozenset({"__new__", "__init__"})
_CALLED: Final = (*reachability.SUSPENDED, types.FunctionType, types.MethodType, functools.partial, type)
_CONTAINERS: Final = frozenset((list, tuple, set, frozenset, collections.deque, dict))
"""Exact types only, since reading a subclass may run any code."""
_FOREIGN: Final = sys.stdlib_module_names | {"_pytest", "pytest", "pluggy", "pytest_sockets"}
"""Modules whose code is not read, because it names registries of everything (all tasks, all threads)."""


class TeardownSearch:
    """Visits values, each with the names of the code that uses it."""

    def __init__(self) -> None:
        self._found: list[Any] = []
        self._seen: set[tuple[int, Names]] = set()
        self._waiting: collections.deque[tuple[Any, Names, type | None, int]] = collections.deque()

    def add(self, value: Any, names: Names = frozenset(), within: type | None = None, depth: int = 0) -> None:
        """Visit `value`, which code with these `names` uses; `within` is the class whose attribute it is."""
        if depth <= _DEEPEST:
            self._waiting.append((value, names, within, depth))

    def add_named(self, known: dict[str, Any], names: Names, depth: int = 0) -> None:
        """Visit the objects with these names in a module, or the imported modules with these names."""
        for name in names:
            value = known.get(name)
            if value is None and name.partition(".")[0] not in _FOREIGN:
                value = sys.modules.get(name)  # The code itself imports it.
            if value is not None:
                self.add(value, names, None, depth)

    def run(self) -> list[Any]:
        """Return every object that was found."""
        for _ in range(_MOST_VISITS):
            if not self._waiting:
                break
            value, names, within, depth = self._waiting.popleft()
            key = (id(value), names)
            if key not in self._seen and type(value) not in reachability.LEAVES:
                self._seen.add(key)
                # One unreadable object, such as a half-initialised one, must not lose all findings.
                with contextlib.suppress(Exception):
                    self._visit(value, names, within, depth)
        return self._found

    def _visit(self, value: Any, names: Names, within: type | None, depth: int) -> None:
        kind = type(value)
        if is_a(value, functools.partial):
            self._partial(value, within, depth)
        elif kind is types.MethodType:
            self._method(value, names, depth)
        elif is_a(value, classmethod, staticmethod):
            self.add(value.__func__, names, within, depth)
        elif kind is types.FunctionType:
            self._function(value, within, depth)
        elif kind in reachability.SUSPENDED:
            self._suspended(value, depth)
        elif is_a(value, types.ModuleType):
            self._attributes(attributes(value), _module_name(value), names, None, depth)
            self._registry(value, names)
        elif is_a(value, type):
            self._class(value, names, depth)
            self._constructor(value, names, depth)
        else:
            self._instance(value, names, depth)

    def _partial(self, partial: functools.partial[Any], within: type | None, depth: int) -> None:
        function = partial.func
        called = names_of(code_of(function))
        given = [*partial.args, *partial.keywords.values()]
        if type(function) is types.FunctionType and is_foreign(function.__module__):
            given = [one for one in given if not _is_pytests(one)]
        # pytest's own finalizer has both the fixture's function and its generator. The code before the yield has run.
        suspended = [one for one in given if type(one) in reachability.SUSPENDED]
        for each in (function, *(suspended or given)):
            self.add(each, called, within, depth)

    def _instance(self, value: Any, names: Names, depth: int) -> None:
        self._found.append(value)
        self._class(type(value), names, depth)
        self._closed_by_exit(value, names, depth)
        if is_a(value, logging.Logger) and "handlers" in names:
            self._found.extend(attributes(value).get("handlers", ()))
        if _is_pytests(value):
            self._of_pytest(value, names, depth)
        if type(value) in _CONTAINERS:
            for each in tuple(value.values() if type(value) is dict else value):
                if is_a(each, *_CALLED):  # for close in AT_END: close()
                    self.add(each, names, None, depth)

    def _function(self, function: types.FunctionType, within: type | None, depth: int) -> None:
        self._found.append(function)  # its closure, defaults and attributes
        names = names_of(function.__code__)
        foreign = is_foreign(function.__globals__.get("__name__"))
        for cell in function.__closure__ or ():
            for content in contents(cell):
                if is_a(content, *_CALLED) or (not foreign and _is_pytests(content)):
                    self.add(content, names, within, depth)
        if not foreign:
            deeper = depth + _step(function.__code__)
            self.add_named(function.__globals__, names, deeper)
            if within is not None:
                self._class(within, names, deeper)

    def _method(self, method: types.MethodType, names: Names, depth: int) -> None:
        owner: Any = method.__self__
        self._closed_by_exit(owner, names, depth)
        cls = owner if is_a(owner, type) else type(owner)
        if name_of(method) == "doClassCleanups":
            # unittest's clean-ups, which pytest's function for the end of a class calls
            for function, arguments, named in getattr(cls, "_class_cleanups", ()):
                for each in (function, *arguments, *named.values()):
                    self.add(each, names, None, depth)
        if is_foreign(module_of(cls)):
            return
        if cls is not owner:
            self._found.append(owner)
        self.add(method.__func__, names, cls, depth)

    def _registry(self, module: types.ModuleType, names: Names) -> None:
        """Visit the registries of the standard library that the code uses."""
        if module is logging and ("shutdown" in names or names >= {"getLogger", "handlers"}):
            handlers: Any = vars(logging)["_handlerList"]
            self._found.extend(handler() for handler in tuple(handlers))
        elif module is sys.modules.get("multiprocessing") and "active_children" in names:
            self._found.extend(sys.modules["multiprocessing.process"]._children)

    def _of_pytest(self, value: Any, names: Names, depth: int) -> None:
        """Visit the objects that suites keep on a request, node or configuration, and the class or module of a node."""
        known = {name: getattr(value, name, None) for name in names & _ENTRY_POINTS}
        own = attributes(value)
        known |= own
        storage = slot(value, "_storage")  # of a stash
        self._found.extend(storage.values() if type(storage) is dict else ())
        for name in names & known.keys():
            self.add(known[name], names, None, depth)

    def _closed_by_exit(self, manager: Any, names: Names, depth: int) -> None:
        """Visit the code that context managers of the standard library call on exit."""
        known = attributes(manager)
        if is_a(manager, *_STACKS):
            for _, callback in known.get("_exit_callbacks", ()):
                self.add(callback, names, None, depth)
        elif is_a(manager, *_CLOSING):
            closing = known.get("thing")
            for name in ("close", "aclose"):
                function = of_class(closing, name)
                if type(function) is types.FunctionType:
                    self.add(types.MethodType(function, closing), names, None, depth)
                elif function is not None:
                    self.add(closing, names, None, depth)
        elif module_of(type(manager)) == "contextlib" and "gen" in known:  # @contextmanager
            self.add(known["gen"], names, None, depth)

    def _constructor(self, cls: type, names: Names, depth: int) -> None:
        """Visit the constructor of a class that the code names: calling it may return the instance of a singleton."""
        self._class(cls, _CONSTRUCTORS, depth)
        metaclass: Any = type(cls)
        call = of_class(cls, "__call__")
        if type(call) is types.FunctionType:
            self.add(call, names, metaclass, depth)
            self._class(cls, names_of(call.__code__), depth + 1)

    def _class(self, cls: type, names: Names, depth: int) -> None:
        for base in mro(cls):
            self._attributes(namespace(base), module_of(base), names, cls, depth)

    def _attributes(self, known: Any, module: str, names: Names, within: type | None, depth: int) -> None:
        if not is_foreign(module):
            for name in names & known.keys():
                self.add(known[name], names, within, depth)

    def _suspended(self, suspended: Any, depth: int) -> None:
        frame = reachability.frame_of(suspended)
        if frame is None:
            return
        names = names_after(frame.f_code, frame.f_lasti)
        foreign = is_foreign(frame.f_globals.get("__name__"))
        local = variables(frame)
        for name in names & local.keys():
            # The functions that pytest's own generator calls (teardown_module) are the user's code.
            if not (foreign and _is_pytests(local[name])):
                self.add(local[name], names, None, depth - 1 if foreign else depth)
        idle = {id(value) for name, value in local.items() if name not in names}
        held = reachability.held_by(suspended)
        active = [value for value in held if id(value) not in idle]
        for value in active:
            if type(value) in reachability.SUSPENDED:
                self.add(value, names, None, depth)
            elif name_of(value) in _EXITS:
                for method in _bound(value, held):
                    self.add(method, names, None, depth)
        if not foreign:
            self.add_named(frame.f_globals, names, depth)
            for function in _registered(active, frame):
                self.add(function, names, None, depth)


def _registered(active: list[Any], frame: types.FrameType) -> Iterator[types.FunctionType]:
    """Yield functions of this code that an object of its remaining part stores: `app.on_cleanup.append(close)`."""
    names = names_of(frame.f_code)
    values = [frame.f_globals[name] for name in names & frame.f_globals.keys()]
    values += [
        attributes(module)[name]
        for module in values
        if is_a(module, types.ModuleType) and not is_foreign(_module_name(module))
        for name in names & attributes(module).keys()
    ]
    codes = {value.__code__ for value in values if type(value) is types.FunctionType}
    codes.update(const for const in frame.f_code.co_consts if isinstance(const, types.CodeType))
    if codes:
        for node in reachability.walk(active, _MOST_KEPT):
            if type(node) is types.FunctionType and node.__code__ in codes:
                yield node


def contents(cell: types.CellType) -> list[Any]:
    try:
        return [cell.cell_contents]
    except ValueError:  # not filled yet
        return []


def _bound(exit_: Any, held: list[Any]) -> Iterator[Any]:
    """Yield the `__exit__` of a `with`. From Python 3.14 on, the stack has the function and its object separately."""
    if type(exit_) in (types.MethodType, types.BuiltinMethodType, types.MethodWrapperType):
        yield exit_
        return
    for manager in held:
        if of_class(manager, name_of(exit_)) is exit_:
            yield types.MethodType(exit_, manager)


def _module_name(module: types.ModuleType) -> str:
    name = attributes(module).get("__name__")
    return name if type(name) is str else ""


def _is_pytests(value: object) -> bool:
    return module_of(type(value)).startswith("_pytest.")


def is_foreign(module: object) -> bool:
    return type(module) is str and module.partition(".")[0] in _FOREIGN


def _step(code: types.CodeType) -> int:
    return 2 if "site-packages" in code.co_filename or "dist-packages" in code.co_filename else 1
