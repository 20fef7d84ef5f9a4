"""What the code of a teardown names is found; what it does not name, or has run already, is not."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sys
import time
import types
from typing import ClassVar

import pytest

from pytest_sockets.leaks.teardown_analysis import touched_by

POOL = ["the pool"]
OTHER = ["another pool"]


def end():
    POOL.clear()


def end_deeply():
    return end_less_deeply()


def end_less_deeply():
    return [end() for _ in POOL_NAMES]


POOL_NAMES = ()


class Api:
    conns: ClassVar = ["the class's pool"]
    others: ClassVar = ["named by nobody"]

    @classmethod
    def end_class(cls):
        cls.conns.clear()

    def end_instance(self):
        self.conns.clear()

    @staticmethod
    def end_static():
        POOL.clear()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        POOL.clear()


@contextlib.contextmanager
def lifespan():
    yield
    POOL.clear()


def after():
    yield
    POOL.clear()


def before():
    POOL.append("filled")
    yield


def before_and_after():
    OTHER.append(1)
    yield
    end_deeply()


def delegating():
    yield from after()


def with_nameless():
    with lifespan():
        yield


def with_class():
    with Api():
        yield


def with_stack():
    with contextlib.ExitStack() as stack:
        stack.callback(end)
        yield


def local_function():
    def finish():
        POOL.clear()

    yield
    finish()


def local_import():
    yield
    import endings_example

    endings_example.end()


def finally_():
    try:
        yield
    finally:
        POOL.clear()


async def asynchronous():
    yield
    POOL.clear()


def started(function):
    generator = function()
    next(generator)
    return generator


def started_asynchronous():
    generator = asynchronous()
    with contextlib.suppress(StopIteration):
        generator.asend(None).send(None)
    return generator


def finds(finalizer, pool):
    return any(found is pool for found in touched_by([finalizer]))


@pytest.fixture(autouse=True)
def example(monkeypatch):
    """A module with a pool, which the teardowns know as `example` or import."""
    module = types.ModuleType("endings_example")
    exec("pool, other = ['its pool'], ['its other']\ndef end(): pool.clear()", vars(module))
    monkeypatch.setitem(sys.modules, "endings_example", module)
    monkeypatch.setitem(globals(), "example", module)
    yield module
    POOL[:] = ["the pool"]


@pytest.mark.parametrize(
    "function",
    [after, before_and_after, delegating, with_nameless, with_class, with_stack, local_function, finally_],
    ids=lambda function: function.__name__,
)
def test_what_a_suspended_fixture_will_still_name_is_found(function):
    assert finds(functools.partial(next, started(function)), POOL)


def test_what_it_named_before_it_was_suspended_is_not():
    assert not finds(functools.partial(next, started(before)), POOL)
    assert not finds(functools.partial(next, started(before_and_after)), OTHER)


def test_what_an_ended_generator_named_is_not():
    generator = started(after)
    list(generator)
    assert not finds(functools.partial(next, generator), POOL)


def test_an_asynchronous_generator_in_a_plugins_finalizer_is_read():
    generator = started_asynchronous()
    assert finds(lambda: generator, POOL)


@pytest.mark.parametrize("finalizer", [end, end_deeply, Api.end_static, functools.partial(end), Api().__exit__],
                         ids=["function", "two calls", "static method", "partial", "method"])  # fmt: skip
def test_what_a_finalizer_names_is_found(finalizer):
    assert finds(finalizer, POOL)
    assert not finds(finalizer, OTHER)


@pytest.mark.parametrize("finalizer", [Api.end_class, Api().end_instance], ids=["class method", "method"])
def test_of_a_class_only_the_named_attributes_are_found(finalizer):
    assert finds(finalizer, Api.conns)
    assert not finds(finalizer, Api.others)


def through_the_module():
    example.end()


@pytest.mark.parametrize(
    "way", [lambda: through_the_module, lambda: started(local_import)], ids=["global", "import"]
)
def test_of_a_module_only_the_named_attributes_are_found(example, way):
    finalizer = functools.partial(next, way())
    assert finds(finalizer, example.pool)
    assert not finds(finalizer, example.other)


def cancel_all():
    for task in asyncio.all_tasks():
        task.cancel()


class Proxy:
    """Of something that is not there now, as flask's `current_app`."""

    def __getattr__(self, name):
        raise RuntimeError("working outside of application context")


PROXY = Proxy()


def test_a_proxy_is_asked_for_nothing():
    def fixture():
        yield
        PROXY.close()
        POOL.clear()

    suspended = fixture()
    next(suspended)
    assert any(found is POOL for found in touched_by([suspended]))


def test_code_of_the_standard_library_is_not_read():
    """It names what knows everything."""
    names = [found for found in touched_by([cancel_all]) if found is not cancel_all]
    assert [
        found for found in names if not isinstance(found, types.FunctionType | types.BuiltinFunctionType)
    ] == []


def test_the_search_is_bounded():
    space = {"__name__": "many"}
    lines = [
        f"def f{number}(): f{number + 1}(); g{number}()\ndef g{number}(): f{number}()"
        for number in range(5_000)
    ]
    exec("\n".join(lines) + "\ndef f5000(): pass", space)
    exec("def all_of_them(): " + ";".join(f"f{number}()" for number in range(5_000)), space)
    began = time.perf_counter()
    assert len(touched_by([space["all_of_them"]])) <= 2_000
    assert time.perf_counter() - began < 20  # some 10 ms, on a machine that does nothing else
