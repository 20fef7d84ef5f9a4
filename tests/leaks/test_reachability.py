"""A socket that a live fixture leads to is that fixture's; one that it does not lead to is not."""

from __future__ import annotations

import collections
import contextlib
import contextvars
import dataclasses
import functools
import io
import logging
import os
import socket
import sys
import time
import types
import weakref
from typing import ClassVar

import pytest

from pytest_sockets.leaks.owner import Owner
from pytest_sockets.leaks.reachability import keepers


def reaches(root, records):
    return bool(keepers(records, [(Owner("fixture", "of_the_root", "module"), [root])]))


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def record(ledger, test_owner):
    """A listener that the test opened, and its record."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ledger.checkpoint()
        found = ledger.open_records()[-1]
        assert found.ref() is server
        yield found


class Pool:
    def __init__(self, *idle):
        self.idle = list(idle)


class Slotted:
    __slots__ = ("sock",)

    def __init__(self, sock):
        self.sock = sock


@dataclasses.dataclass
class Deep:
    inner: object


def generator(sock):
    yield sock.fileno()


def suspended(sock):
    running = generator(sock)
    next(running)
    return running


@contextlib.contextmanager
def service(sock):
    yield
    sock.close()


def nameless(sock):
    with service(sock):
        del sock
        yield


def delegating(sock):
    yield from generator(sock)


async def asynchronous(sock):
    yield
    sock.close()


def started(function, sock):
    running = function(sock)
    next(running)
    return running


def started_asynchronous(sock):
    running = asynchronous(sock)
    with contextlib.suppress(StopIteration):
        running.asend(None).send(None)
    return running


def context_variable(sock):
    variable = contextvars.ContextVar("variable")
    variable.set(Pool(sock))
    return variable


class Handed:
    """What a registry refers to weakly; KEPT is who uses it."""

    KEPT: ClassVar = []

    def __init__(self, sock):
        self.sock = sock
        self.KEPT[:] = [self]


async def waiting(sock):
    await stop()
    sock.close()


@types.coroutine
def stop():
    yield


def suspended_coroutine(sock):
    coroutine = waiting(sock)
    coroutine.send(None)
    return coroutine


@pytest.mark.parametrize(
    "wrap",
    [
        lambda sock: sock,
        lambda sock: [sock],
        lambda sock: {"a": (1, {sock})},
        Pool,
        Slotted,
        lambda sock: Deep(Deep(Deep(Pool(sock)))),
        lambda sock: lambda: sock,
        lambda sock: functools.partial(print, sock),
        lambda sock: collections.deque([sock]),
        lambda sock: types.MappingProxyType({"a": sock}),
        lambda sock: sock.close,
        suspended,
        suspended_coroutine,
        lambda sock: sock.makefile("rb"),
        functools.partial(started, nameless),
        functools.partial(started, delegating),
        started_asynchronous,
        context_variable,
        lambda sock: weakref.WeakSet([Handed(sock)]),
        lambda sock: weakref.WeakValueDictionary({1: Handed(sock)}),
        lambda sock: weakref.WeakKeyDictionary({Handed(sock): 1}),
    ],
    ids=["itself", "list", "dict", "instance", "slots", "deep", "closure", "partial", "deque", "proxy", "method",
         "generator", "coroutine", "makefile", "with without as", "yield from", "async generator", "context variable",
         "weak set", "weak values", "weak keys"],
)  # fmt: skip
def test_it_is_found_behind(record, wrap):
    root = wrap(record.ref())
    assert reaches(root, [record])
    if hasattr(root, "close") and not isinstance(root, socket.socket):
        try:
            root.close()
        except RuntimeError:
            pass


def test_it_is_not_found_where_it_is_not(record, server):
    assert not reaches(Pool(server), [record])


def test_a_weak_reference_keeps_nothing(record):
    assert not reaches([weakref.ref(record.ref())], [record])


@pytest.mark.parametrize(
    "wall",
    [sys, Pool, logging.getLogger("x"), print, compile("1", "x", "exec")],
    ids=["module", "class", "logger", "builtin", "code"],
)
def test_the_search_stops_at_what_knows_everything(record, wall, monkeypatch):
    if isinstance(wall, types.ModuleType | type | logging.Logger):
        monkeypatch.setattr(wall, "the_socket", record.ref(), raising=False)
    assert not reaches([wall], [record])


def test_a_functions_globals_are_not_followed(record, monkeypatch):
    monkeypatch.setitem(globals(), "KNOWN_TO_ALL", record.ref())
    assert not reaches(generator, [record])


def test_a_running_loop_is_a_wall(record):
    import asyncio

    loop = asyncio.new_event_loop()
    try:
        loop.a_socket = record.ref()
        assert not reaches([loop], [record])
        assert reaches([loop.a_socket], [record])
    finally:
        del loop.a_socket
        loop.close()


@pytest.mark.parametrize("function", [nameless, delegating], ids=["with", "yield from"])
def test_a_suspended_generator_does_not_lead_to_the_globals_of_its_code(
    record, server, monkeypatch, function
):
    monkeypatch.setitem(globals(), "KNOWN_TO_ALL", record.ref())
    running = started(function, server)
    assert not reaches(running, [record])


class Derived(pytest.Item):
    """As pytest-asyncio's coroutine items."""

    def runtest(self):
        raise NotImplementedError


def test_objects_of_classes_derived_from_pytests_are_walls(record):
    item = object.__new__(Derived)
    item.__dict__["a_socket"] = record.ref()
    assert not reaches([item], [record])


def test_pytests_own_objects_are_walls(record, request):
    request.node.a_socket = record.ref()
    try:
        assert not reaches([request.node], [record])
    finally:
        del request.node.a_socket


class Connection:
    """An object that the suite made: its `fileno` is the suite's code."""

    asked = 0

    def __init__(self, fd):
        self._fd = fd

    def fileno(self):
        Connection.asked += 1
        return self._fd


@pytest.fixture
def nameless_record(ledger, test_owner):
    """The record of a socket that no Python object stands for, and its descriptor."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ledger.checkpoint()
        record = ledger.open_records()[-1]
        record.ref = lambda: None
        yield record, server.fileno()


def test_a_c_object_is_known_by_its_descriptor(nameless_record):
    record, fd = nameless_record
    other = os.open(os.devnull, os.O_RDONLY)
    with io.FileIO(fd, closefd=False) as connection, io.FileIO(other) as unrelated:
        assert reaches(Pool(connection), [record])
        assert not reaches(Pool(unrelated), [record])
    assert not reaches(Pool(connection), [record])  # closed: it has none


def test_the_fileno_of_the_suites_own_class_is_not_called(nameless_record):
    record, fd = nameless_record
    assert not reaches(Pool(Connection(fd)), [record])
    assert Connection.asked == 0


def test_an_object_whose_fileno_is_not_a_number_does_no_harm(ledger, test_owner, record):
    class Odd:
        def fileno(self):
            return "seven"

    record.ref = lambda: None
    assert not reaches([Odd()], [record])


def test_the_narrowest_live_owner_that_leads_to_it_keeps_it(record):
    module, session = Owner("fixture", "m", "module"), Owner("fixture", "s", "session")
    pool = Pool(record.ref())
    assert keepers([record], [(module, [pool]), (session, [pool])]) == {record: module}
    assert keepers([record], [(module, [Pool()]), (session, [pool])]) == {record: session}
    assert keepers([record], [(module, [Pool()]), (session, [Pool()])]) == {}


def test_a_cycle_ends(record):
    loop = []
    loop.append(loop)
    assert not reaches(loop, [record])


def test_a_huge_value_is_searched_up_to_a_bound(record):
    began = time.perf_counter()
    assert not reaches([[object()] for _ in range(400_000)], [record])
    assert time.perf_counter() - began < 60  # without the bound it would be minutes
