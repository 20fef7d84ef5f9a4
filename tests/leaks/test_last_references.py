"""A socket that only a test's fixture values keep dies with them; one that anything else keeps does not."""

from __future__ import annotations

import socket
import weakref

import pytest

from pytest_sockets.leaks.last_references import dying_with

ELSEWHERE = []


@pytest.fixture(autouse=True)
def _empty():
    yield
    ELSEWHERE.clear()


class Client:
    def __init__(self, sock):
        self.sock = sock


class Closing(Client):
    def __del__(self):
        self.sock.close()


def in_a_cycle(sock):
    client = Client(sock)
    client.itself = client
    return client


def in_a_generator(sock):
    def run():
        yield sock

    running = run()
    next(running)
    return running


def in_a_closure(sock):
    return lambda: sock


@pytest.mark.parametrize(
    "wrap",
    [lambda sock: sock, Client, in_a_cycle, in_a_generator, in_a_closure, lambda sock: {"a": [sock]}],
    ids=["itself", "attribute", "cycle", "generator", "closure", "containers"],
)
def test_what_only_the_values_keep_dies_and_what_a_global_keeps_does_not(wrap):
    sock = socket.socket()
    ident, ref = id(sock), weakref.ref(sock)
    values = {"fixture": wrap(sock)}
    del sock
    with ref():
        assert dying_with(values, {ident}).socks == set()  # the `with` keeps it
    assert dying_with(values, {ident}).socks == {ident}
    ELSEWHERE.append(values["fixture"])
    assert dying_with(values, {ident}).socks == set()
    ELSEWHERE.clear()
    values.clear()


def test_an_object_outside_that_refers_to_the_middle_of_the_chain_counts():
    client = Client(socket.socket())
    ELSEWHERE.append(client)
    values = {"fixture": [client]}
    ident = id(client.sock)
    assert dying_with(values, {ident}).socks == set()
    ELSEWHERE.clear()
    assert dying_with(values, {ident}).socks == set()  # the variable of this test
    sock = client.sock
    del client
    assert dying_with(values, {ident}).socks == set()
    sock.close()
    del sock
    assert dying_with(values, {ident}).socks == {ident}


def test_two_values_that_share_a_socket():
    sock = socket.socket()
    ident = id(sock)
    sock.close()
    values = {"one": Client(sock), "two": Client(sock)}
    del sock
    assert dying_with(values, {ident}).socks == {ident}


def test_a_finalizer_of_the_suite_is_told_for_it_may_close():
    values = {"fixture": Closing(socket.socket())}
    dying = dying_with(values, {id(values["fixture"].sock)})
    assert dying.socks
    assert dying.may_close
    values = {"fixture": Client(values["fixture"].sock)}
    assert not dying_with(values, {id(values["fixture"].sock)}).may_close
    values["fixture"].sock.close()


def test_a_registered_finalizer_is_told_as_well():
    client = Client(socket.socket())
    weakref.finalize(client, client.sock.close)
    values = {"fixture": client}
    del client
    ident = id(values["fixture"].sock)
    assert dying_with(values, {ident}).socks == set()  # the registry refers to the socket's method
    values["fixture"].sock.close()
