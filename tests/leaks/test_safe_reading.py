"""Objects are read without running their code, and reading keeps nothing alive."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
import weakref

import pytest

from pytest_sockets.leaks import safe_reading
from pytest_sockets.leaks.reachability import walk
from pytest_sockets.leaks.referrers import holders
from pytest_sockets.leaks.teardown_analysis import touched_by


class Hostile:
    """Each question to it runs code of the suite, which raises."""

    def __init__(self):
        object.__setattr__(self, "kept", ["its value"])

    def _raise(self, *args):
        raise RuntimeError("used outside of its context")

    __getattribute__ = __getattr__ = __eq__ = __bool__ = __str__ = __repr__ = __len__ = __iter__ = (
        __call__
    ) = _raise
    __hash__ = None
    __class__ = property(_raise)
    fileno = property(_raise)


def test_isinstance_runs_the_code_that_is_avoided_here():
    with pytest.raises(RuntimeError, match="outside of its context"):
        isinstance(Hostile(), dict)


def test_type_class_and_attributes_are_read_without_a_question():
    hostile = Hostile()
    assert safe_reading.is_a(hostile, Hostile)
    assert not safe_reading.is_a(hostile, dict, list)
    assert safe_reading.attributes(hostile) == {"kept": ["its value"]}
    assert safe_reading.descriptor(hostile) == -1
    assert safe_reading.full_name(type(hostile)).endswith("test_safe_reading.Hostile")


def test_a_uvloop_transport_has_the_descriptor_of_its_socket_until_it_is_closed():
    uvloop = pytest.importorskip("uvloop")

    async def connect(port):
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, "127.0.0.1", port)
        fd = safe_reading.descriptor(transport)
        assert fd == transport.get_extra_info("socket").fileno()
        transport.abort()
        await asyncio.sleep(0)
        return safe_reading.descriptor(transport)

    with socket.create_server(("127.0.0.1", 0)) as server:
        assert uvloop.run(connect(server.getsockname()[1])) == -1


def test_a_property_in_place_of_the_dictionary_is_not_run():
    class Proxy:
        __slots__ = ()
        __dict__ = property(lambda self: 1 / 0)

    assert safe_reading.attributes(Proxy()) == {}


def test_a_walk_goes_through_hostile_objects():
    hostile = Hostile()
    kept = safe_reading.attributes(hostile)["kept"]
    assert any(node is kept for node in walk([hostile]))


POOL = ["what the teardown closes"]
HOSTILE = Hostile()


def teardown():
    return HOSTILE, POOL


def test_a_hostile_global_does_not_hide_what_else_a_teardown_names():
    assert any(found is POOL for found in touched_by([teardown]))


def test_the_way_to_a_name_goes_through_hostile_objects(places):
    class Sock:
        pass

    sock = Sock()
    safe_reading.attributes(HOSTILE)["sock"] = sock
    try:
        found = holders(sock, places)
    finally:
        del safe_reading.attributes(HOSTILE)["sock"]
    assert "HOSTILE" in found[-1]


class Value:
    pass


def holding():
    value = Value()
    ref = weakref.ref(value)
    yield ref
    del value
    yield ref


@pytest.mark.parametrize(
    "read",
    [
        lambda running: safe_reading.variables(running.gi_frame),
        lambda running: list(walk([running])),
        lambda running: list(walk([running.gi_frame])),
        lambda running: touched_by([running]),
        lambda running: list(walk([running, *touched_by([running]), *walk([running])])),
    ],
    ids=["variables", "walk", "walk-frame", "touched_by", "all-at-once"],
)
def test_reading_a_suspended_frame_keeps_no_variable_alive(read):
    running = holding()
    ref = next(running)
    read(running)
    next(running)
    assert ref() is None


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="f_locals is no snapshot any more")
def test_plain_f_locals_would_keep_it_alive():
    running = holding()
    ref = next(running)
    assert running.gi_frame.f_locals
    next(running)
    assert ref() is not None


def with_locals():
    value = 1
    mine = locals()
    yield mine
    yield value


def test_a_dictionary_that_the_suite_asked_for_is_left_alone():
    running = with_locals()
    mine = next(running)
    safe_reading.variables(running.gi_frame)
    assert mine["value"] == 1


def test_members_of_weak_containers_are_found():
    value = Value()
    keys, values, items = weakref.WeakKeyDictionary(), weakref.WeakValueDictionary(), weakref.WeakSet()
    keys[value], values["key"] = 1, value
    items.add(value)
    assert [value in safe_reading.members(one) for one in (keys, values, items)] == [True, True, True]
    del value
    gc.collect()
    assert [[one for one in safe_reading.members(each) if one is not None] for each in (values, items)] == [
        [],
        [],
    ]
