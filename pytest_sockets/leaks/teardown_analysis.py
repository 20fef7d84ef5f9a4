"""Find what a fixture's teardown will close: the globals, class attributes and pools that its remaining code names.

A pool that tests fill lazily often belongs to no fixture object: `yield; db.close_all()`. The code is therefore read, and
never run. Its parts are the code after the `yield` (the suspended frame has the position), finalizers and exit callbacks,
and the functions that they name, some calls deep. Of a module or class, only the attributes that the code names count; the
others would lead to every socket of the process. A fixture without a teardown closes nothing, so it owns nothing that it
names.
"""

from __future__ import annotations

import dis
import inspect
import types
from typing import TYPE_CHECKING, Any

from pytest_sockets.leaks.code_names import code_of, name_of, names_after, names_stored
from pytest_sockets.leaks.safe_reading import is_a, mro, namespace
from pytest_sockets.leaks.teardown_search import TeardownSearch, contents, is_foreign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def touched_by(finalizers: Iterable[Any]) -> list[Any]:
    """Return the objects that these finalizers refer to, and those that they, or code that they call or resume, name."""
    search = TeardownSearch()
    for finalizer in finalizers:
        search.add(finalizer)
    return search.run()


def named_by_teardown(function: Any) -> list[Any]:
    """Return the objects that the teardown of this generator function names, even if its generator has ended."""
    code = code_of(function)
    if code is None or is_foreign(function.__globals__.get("__name__")):
        return []
    yields = (one.offset for one in dis.get_instructions(code) if one.opname == "YIELD_VALUE")
    first = next(yields, None)
    if first is None or not code.co_flags & inspect.CO_GENERATOR:
        return []
    search = TeardownSearch()
    search.add_named(function.__globals__, names_after(code, first))
    return search.run()


def put_by(setup: Callable[..., Any], holder: Any) -> list[Any]:
    """Return the values that `setup_module`, `setup_class` or `setUpClass` stored in the module or class `holder`.

    They correspond to a fixture's value. `setup` is pytest's function, whose closure has the user's function.
    """
    known = [namespace(base) for base in mro(holder)] if is_a(holder, type) else [vars(holder)]
    names: set[str] = set()
    for cell in setup.__closure__ or () if type(setup) is types.FunctionType else ():
        for content in contents(cell):
            name = name_of(content)
            for function in (content, *(each.get(name) for each in known)):
                names |= names_stored(code_of(function))
    return [each[name] for each in known for name in names & each.keys()]
