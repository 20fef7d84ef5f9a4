"""What will a fixture's teardown close? The globals, class attributes and pools that the code which still has to run names.

A pool that tests fill lazily is often known to no fixture object: `yield; db.close_all()`. So the code is read, not run:
what stands after the `yield` (the suspended frame knows how far it came), finalizers and exit callbacks, and from there
the functions that it names, some calls deep. Of a module or class only the attributes that the code names count: all
others would lead to each socket of the process. A fixture without a teardown closes nothing, so nothing that it names is
its own.
"""

from __future__ import annotations

import collections
import contextlib
import dis
import functools
import inspect
import logging
import sys
import types
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.leaks import reachability

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Names = frozenset[str]

_DEEPEST: Final = 4
"""Calls from the teardown to the function that names the pool; one into an installed package counts twice."""
_MOST_VISITS: Final = 2_000
"""A few milliseconds for a teardown that stops a whole framework."""
_MOST_KEPT: Final = 5_000
"""Objects among which callbacks are looked for that the fixture has registered somewhere."""
_SUSPENDED: Final = (types.GeneratorType, types.AsyncGeneratorType, types.CoroutineType)
_STACKS: Final = (contextlib.ExitStack, contextlib.AsyncExitStack)
_EXITS: Final = ("__exit__", "__aexit__")
_PYTESTS_DOORS: Final = frozenset({"cls", "config", "instance", "module", "node", "obj", "parent", "session"})
_CLOSING: Final = (contextlib.closing, contextlib.aclosing)
_CONSTRUCTORS: Final = frozenset({"__new__", "__init__"})
_CALLED: Final = (*_SUSPENDED, types.FunctionType, types.MethodType, functools.partial, type)
_CONTAINERS: Final = frozenset((list, tuple, set, frozenset, collections.deque, dict))
"""Exactly these: a subclass may do anything when it is read."""
_FOREIGN: Final = sys.stdlib_module_names | {"_pytest", "pytest", "pluggy", "pytest_sockets"}
"""Their code is not read: it names what knows everything (all tasks, all threads)."""


def touched_by(finalizers: Iterable[Any]) -> list[Any]:
    """The objects that these finalizers name, or code that they call or resume, beside those that they refer to."""
    search = _Search()
    for finalizer in finalizers:
        search.add(finalizer)
    return search.run()


def named_after_yield(function: Any) -> list[Any]:
    """What the teardown of this generator function names, also when its generator has ended."""
    code = getattr(function, "__code__", None)
    if not isinstance(code, types.CodeType) or _is_foreign(function.__globals__.get("__name__")):
        return []
    yields = (one.offset for one in dis.get_instructions(code) if one.opname == "YIELD_VALUE")
    first = next(yields, None)
    if first is None or not code.co_flags & inspect.CO_GENERATOR:
        return []
    search = _Search()
    search.add_named(function.__globals__, _names_after(code, first))
    return search.run()


def put_by(setup: Callable[..., Any], holder: Any) -> list[Any]:
    """What `setup_module`, `setup_class` or `setUpClass` has put into the module or class `holder`: its value, so to speak.

    `setup` is pytest's function, in whose closure theirs is.
    """
    bases = getattr(holder, "__mro__", (holder,))
    names: set[str] = set()
    for cell in getattr(setup, "__closure__", None) or ():
        for content in _contents(cell):
            name = getattr(content, "__name__", "")
            for function in (content, *(vars(base).get(name) for base in bases)):
                names |= _names_stored(getattr(getattr(function, "__func__", function), "__code__", None))
    return [vars(base)[name] for base in bases for name in names & vars(base).keys()]


class _Search:
    """Breadth first, so that the bounds cut off what is farthest."""

    def __init__(self) -> None:
        self._found: list[Any] = []
        self._seen: set[tuple[int, Names]] = set()
        self._waiting: collections.deque[tuple[Any, Names, type | None, int]] = collections.deque()

    def add(self, value: Any, names: Names = frozenset(), within: type | None = None, depth: int = 0) -> None:
        """Visit `value`, which code with these `names` uses; `within` is the class whose attribute it is."""
        if depth <= _DEEPEST:
            self._waiting.append((value, names, within, depth))

    def add_named(self, known: dict[str, Any], names: Names, depth: int = 0) -> None:
        """Visit what these names stand for in a module, or the modules that they are the names of."""
        for name in names:
            value = known.get(name)
            if value is None and name.partition(".")[0] not in _FOREIGN:
                value = sys.modules.get(name)  # imported by the code itself
            if value is not None:
                self.add(value, names, None, depth)

    def run(self) -> list[Any]:
        """All that was found."""
        for _ in range(_MOST_VISITS):
            if not self._waiting:
                break
            value, names, within, depth = self._waiting.popleft()
            key = (id(value), names)
            if key not in self._seen and type(value) not in reachability.LEAVES:
                self._seen.add(key)
                self._visit(value, names, within, depth)
        return self._found

    def _visit(self, value: Any, names: Names, within: type | None, depth: int) -> None:
        if isinstance(value, functools.partial):
            called = _names_of(getattr(value.func, "__code__", None))
            given = [*value.args, *value.keywords.values()]
            if _is_foreign(getattr(value.func, "__module__", None)):
                given = [one for one in given if not _is_pytests(one)]
            # pytest's own finalizer has the fixture's function beside its generator: what stands before the yield has run.
            suspended = [one for one in given if isinstance(one, _SUSPENDED)]
            for each in (value.func, *(suspended or given)):
                self.add(each, called, within, depth)
        elif isinstance(value, types.MethodType):
            self._method(value, names, depth)
        elif isinstance(value, classmethod | staticmethod):
            self.add(value.__func__, names, within, depth)
        elif isinstance(value, types.FunctionType):
            self._function(value, within, depth)
        elif isinstance(value, _SUSPENDED):
            self._suspended(value, depth)
        elif isinstance(value, types.ModuleType):
            self._attributes(vars(value), value.__name__, names, None, depth)
            self._registry(value, names)
        elif isinstance(value, type):
            self._class(value, names, depth)
            self._constructor(value, names, depth)
        else:
            self._found.append(value)
            self._class(type(value), names, depth)
            self._closed_by_exit(value, names, depth)
            if issubclass(type(value), logging.Logger) and "handlers" in names:
                self._found.extend(value.handlers)
            if _is_pytests(value):
                self._of_pytest(value, names, depth)
            if type(value) in _CONTAINERS:
                for each in tuple(value.values() if isinstance(value, dict) else value):
                    if isinstance(each, _CALLED):  # for close in AT_END: close()
                        self.add(each, names, None, depth)

    def _function(self, function: types.FunctionType, within: type | None, depth: int) -> None:
        self._found.append(function)  # its closure, defaults and attributes
        names = _names_of(function.__code__)
        foreign = _is_foreign(function.__globals__.get("__name__"))
        for cell in function.__closure__ or ():
            for content in _contents(cell):
                if isinstance(content, _CALLED) or (not foreign and _is_pytests(content)):
                    self.add(content, names, within, depth)
        if not foreign:
            deeper = depth + _step(function.__code__)
            self.add_named(function.__globals__, names, deeper)
            if within is not None:
                self._class(within, names, deeper)

    def _method(self, method: types.MethodType, names: Names, depth: int) -> None:
        owner = method.__self__
        self._closed_by_exit(owner, names, depth)
        cls = owner if isinstance(owner, type) else type(owner)
        if (
            method.__name__ == "doClassCleanups"
        ):  # unittest's, called by pytest's function for the end of a class
            for function, arguments, named in getattr(cls, "_class_cleanups", ()):
                for each in (function, *arguments, *named.values()):
                    self.add(each, names, None, depth)
        if _is_foreign(cls.__module__):
            return
        if cls is not owner:
            self._found.append(owner)
        self.add(method.__func__, names, cls, depth)

    def _registry(self, module: types.ModuleType, names: Names) -> None:
        """What the standard library knows by itself, if that is asked for."""
        if module is logging and ("shutdown" in names or names >= {"getLogger", "handlers"}):
            handlers: Any = vars(logging)["_handlerList"]
            self._found.extend(handler() for handler in tuple(handlers))
        elif module.__name__ == "multiprocessing" and "active_children" in names:
            self._found.extend(sys.modules["multiprocessing.process"]._children)

    def _of_pytest(self, value: Any, names: Names, depth: int) -> None:
        """A request, a node or the configuration: what suites keep there, and the class or module that it stands for."""
        known = {name: getattr(value, name, None) for name in names & _PYTESTS_DOORS}
        known |= getattr(value, "__dict__", {})
        self._found.extend(getattr(value, "_storage", {}).values())  # of a stash
        for name in names & known.keys():
            self.add(known[name], names, None, depth)

    def _closed_by_exit(self, manager: Any, names: Names, depth: int) -> None:
        """What the standard library's context managers call when they are left.

        Nothing else is asked for an attribute: a proxy for what is not there now (flask's `current_app`) would raise.
        """
        kind = type(manager)
        if issubclass(kind, _STACKS):
            for _, callback in getattr(manager, "_exit_callbacks", ()):
                self.add(callback, names, None, depth)
        elif issubclass(kind, _CLOSING):
            closing: Any = vars(manager).get("thing")
            for name in ("close", "aclose"):
                self.add(getattr(closing, name, None), names, None, depth)
        elif kind.__module__ == "contextlib" and "gen" in vars(manager):  # @contextmanager
            self.add(vars(manager)["gen"], names, None, depth)

    def _constructor(self, cls: type, names: Names, depth: int) -> None:
        """Whoever names a class may call it, and is given the only instance of a singleton."""
        self._class(cls, _CONSTRUCTORS, depth)
        metaclass: Any = type(cls)
        call = next((vars(base)["__call__"] for base in metaclass.__mro__ if "__call__" in vars(base)), None)
        if isinstance(call, types.FunctionType):
            self.add(call, names, metaclass, depth)
            self._class(cls, _names_of(call.__code__), depth + 1)

    def _class(self, cls: type, names: Names, depth: int) -> None:
        for base in cls.__mro__:
            self._attributes(vars(base), base.__module__, names, cls, depth)

    def _attributes(self, known: Any, module: str, names: Names, within: type | None, depth: int) -> None:
        if not _is_foreign(module):
            for name in names & known.keys():
                self.add(known[name], names, within, depth)

    def _suspended(self, suspended: Any, depth: int) -> None:
        frame = reachability.frame_of(suspended)
        if frame is None:
            return
        names = _names_after(frame.f_code, frame.f_lasti)
        foreign = _is_foreign(frame.f_globals.get("__name__"))
        local = dict(frame.f_locals)  # a proxy with fewer methods since 3.13
        for name in names & local.keys():
            # What pytest's own generator calls (teardown_module) is where the user's code begins.
            if not (foreign and _is_pytests(local[name])):
                self.add(local[name], names, None, depth - 1 if foreign else depth)
        idle = {id(value) for name, value in local.items() if name not in names}
        active = [value for value in reachability.held_by(suspended) if id(value) not in idle]
        for value in active:
            if isinstance(value, _SUSPENDED) or getattr(value, "__name__", None) in _EXITS:
                self.add(value, names, None, depth)
        if not foreign:
            self.add_named(frame.f_globals, names, depth)
            for function in _registered(active, frame):
                self.add(function, names, None, depth)


def _registered(active: list[Any], frame: types.FrameType) -> Iterator[types.FunctionType]:
    """Functions that this code names or contains, and that what it will still use keeps: `app.on_cleanup.append(close)`."""
    names = _names_of(frame.f_code)
    values = [frame.f_globals[name] for name in names & frame.f_globals.keys()]
    values += [
        vars(module)[name]
        for module in values
        if isinstance(module, types.ModuleType) and not _is_foreign(module.__name__)
        for name in names & vars(module).keys()
    ]
    codes = {value.__code__ for value in values if isinstance(value, types.FunctionType)}
    codes.update(const for const in frame.f_code.co_consts if isinstance(const, types.CodeType))
    if codes:
        for node in reachability.walk(active, _MOST_KEPT):
            if type(node) is types.FunctionType and node.__code__ in codes:
                yield node


@functools.lru_cache(maxsize=1024)
def _names_of(code: types.CodeType | None) -> Names:
    """Globals, attributes and imports, also of the functions within."""
    if code is None:
        return frozenset()
    inner = (_names_of(const) for const in code.co_consts if isinstance(const, types.CodeType))
    return frozenset(code.co_names).union(*inner)


@functools.lru_cache(maxsize=1024)
def _names_after(code: types.CodeType, last: int) -> Names:
    """The same and local variables, but only what stands after the instruction `last`."""
    names: set[str] = set()
    for instruction in dis.get_instructions(code):
        if instruction.offset <= last:
            continue
        value = instruction.argval
        if isinstance(value, types.CodeType):
            names |= _names_of(value)
        elif instruction.opname.startswith(("LOAD_", "IMPORT_")) and "CONST" not in instruction.opname:
            # two variables at once since 3.13
            names.update(
                name for name in (value if isinstance(value, tuple) else (value,)) if isinstance(name, str)
            )
    return frozenset(names)


@functools.lru_cache(maxsize=1024)
def _names_stored(code: types.CodeType | None) -> Names:
    """The globals and attributes to which this code assigns."""
    if code is None:
        return frozenset()
    stores = ("STORE_GLOBAL", "STORE_ATTR", "STORE_NAME")
    return frozenset(one.argval for one in dis.get_instructions(code) if one.opname in stores)


def _contents(cell: types.CellType) -> list[Any]:
    try:
        return [cell.cell_contents]
    except ValueError:  # not filled yet
        return []


def _is_pytests(value: object) -> bool:
    return type(value).__module__.startswith("_pytest.")


def _is_foreign(module: object) -> bool:
    return str(module).partition(".")[0] in _FOREIGN


def _step(code: types.CodeType) -> int:
    return 2 if "site-packages" in code.co_filename or "dist-packages" in code.co_filename else 1
