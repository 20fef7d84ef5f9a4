"""What still refers to a leaked socket is said with a name that can be found in the code."""

from __future__ import annotations

import gc
import itertools
import os
import socket
import threading
import weakref

import pytest

from pytest_sockets.leaks.referrers import holders

GLOBAL = None
THIS = "tests/leaks/test_referrers.py"


@pytest.fixture
def server():
    """A one-item list, so that no local variable of a test refers to the socket."""
    box = [socket.create_server(("127.0.0.1", 0))]
    fd = box[0].fileno()
    yield box
    if box:
        box.pop().close()
    else:
        try:
            os.close(fd)
        except OSError:
            pass


class Client:
    """Keeps a socket."""

    shared = None

    def __init__(self, sock):
        self.sock = sock


def told(box, places, keep):
    """The chain for the socket that only `keep(sock)` keeps from now on."""
    kept = keep(box.pop())
    sock = _find(kept)
    try:
        return kept, holders(sock, places)
    finally:
        del sock


def _find(kept):
    return kept() if callable(kept) and not isinstance(kept, Client) else kept.sock


def test_an_attribute(server, places):
    kept, chain = told(server, places, Client)
    assert any(link == f"attribute `sock` of a {Client.__module__}.Client object" for link in chain), chain
    kept.sock.close()


def test_a_module_global(server, places, monkeypatch):
    monkeypatch.setitem(globals(), "GLOBAL", server.pop())
    chain = holders(GLOBAL, places)
    assert chain[0] == f"module global `GLOBAL` of {THIS}"
    GLOBAL.close()


def test_a_class_attribute(server, places, monkeypatch):
    monkeypatch.setattr(Client, "shared", server.pop())
    chain = holders(Client.shared, places)
    assert chain[0] == f"class attribute `shared` of {Client.__module__}.Client"
    Client.shared.close()


def test_a_local_of_a_running_thread(server, places):
    started, stop = threading.Event(), threading.Event()

    def serve(box):
        mine = box.pop()
        started.set()
        stop.wait(10)
        mine.close()

    sock = server[0]
    thread = threading.Thread(target=serve, args=(server,), name="acceptor", daemon=True)
    thread.start()
    started.wait(10)
    try:
        (link,) = holders(sock, places)
        assert link.startswith("local `mine` of running daemon thread 'acceptor', " + THIS)
        assert link.endswith(" in serve")
    finally:
        stop.set()
        thread.join()


def test_a_closure(server, places, monkeypatch):
    def make(sock):
        return lambda: sock

    monkeypatch.setitem(globals(), "GLOBAL", make(server.pop()))
    sock = GLOBAL()
    chain = holders(sock, places)
    assert "a closure variable" in chain[0]
    assert "make.<locals>.<lambda>" in " ".join(chain)
    sock.close()


def test_a_suspended_generator(server, places, monkeypatch):
    def serve(box):
        mine = box.pop()
        yield mine

    monkeypatch.setitem(globals(), "GLOBAL", serve(server))
    sock = next(GLOBAL)
    chain = holders(sock, places)
    assert chain[0].endswith("serve") or "serve" in " ".join(chain), chain
    sock.close()


def test_the_chain_leads_outwards_to_a_name(server, places, monkeypatch):
    monkeypatch.setitem(globals(), "GLOBAL", {"clients": [Client(server.pop())]})
    sock = GLOBAL["clients"][0].sock
    chain = holders(sock, places)
    assert chain[0].startswith("attribute `sock`")
    assert chain[1:] == (
        "an item of a list",
        "a dict, under the key 'clients'",
        f"module global `GLOBAL` of {THIS}",
    )
    sock.close()


def test_of_a_long_chain_both_ends_are_told(server, places, monkeypatch):
    deep = Client(server.pop())
    sock = deep.sock
    for _ in range(9):
        deep = [deep]
    monkeypatch.setitem(globals(), "GLOBAL", {"deep": deep})
    del deep
    chain = holders(sock, places)
    assert chain[0].startswith("attribute `sock`")
    assert chain[1:3] == ("an item of a list", "... 7 objects further")
    assert chain[3:] == (
        "an item of a list",
        "a dict, under the key 'deep'",
        f"module global `GLOBAL` of {THIS}",
    )
    sock.close()


def test_a_failed_asserts_own_names_are_not_told(places):
    def fail():
        mine = socket.socket()
        assert mine.fileno() == -5

    with pytest.raises(AssertionError) as failed:
        fail()
    sock = failed.tb.tb_next.tb_frame.f_locals["mine"]
    chain = holders(sock, places)
    sock.close()
    assert any(link.startswith("local `mine` of") for link in chain), chain
    assert "@py" not in "".join(chain)


def test_nothing_is_said_of_what_nobody_keeps(places):
    def chain_of_a_lonely_one():
        return holders(socket.socket(), places)

    with pytest.warns(ResourceWarning):
        chain = chain_of_a_lonely_one()
    assert not [link for link in chain if "pytest_sockets" in link]


def test_the_chain_is_short_however_long_the_way(server, places, monkeypatch):
    deep = server.pop()
    for _ in range(50):
        deep = [deep]
    monkeypatch.setitem(globals(), "GLOBAL", deep)
    while isinstance(deep, list):
        deep = deep[0]
    assert len(holders(deep, places)) <= 5
    deep.close()


def test_looking_makes_no_cycle_that_keeps_it_alive(places):
    gc.disable()
    try:
        sock = socket.socket()
        ghost = weakref.ref(sock)
        client = Client(sock)
        holders(sock, places)
        sock.close()
        del sock, client
        assert ghost() is None
    finally:
        gc.enable()


def test_our_own_search_is_no_holder_where_threads_have_other_numbers(server, places, monkeypatch):
    """gevent replaces get_ident() by one that numbers greenlets."""
    monkeypatch.setattr(threading, "get_ident", lambda: 1)
    kept = Client(server.pop())
    sock = kept.sock
    assert holders(sock, places)[0] == f"attribute `sock` of a {Client.__module__}.Client object"
    sock.close()


class Peer:
    """One of two objects that refer to each other."""

    def __init__(self, other=None):
        self.other = other or Peer(self)


def test_objects_that_refer_to_each_other_are_left_again(server, places, monkeypatch):
    peer = Peer()
    peer.other.sock = server.pop()
    monkeypatch.setitem(globals(), "GLOBAL", [peer])
    sock = peer.other.sock
    del peer
    try:
        chain = holders(sock, places)
    finally:
        sock.close()
    kind = f"a {Peer.__module__}.Peer object"
    assert chain == (
        f"attribute `sock` of {kind}",
        f"attribute `other` of {kind}",
        "an item of a list",
        f"module global `GLOBAL` of {THIS}",
    )  # fmt: skip


def test_a_chain_without_a_name_at_its_end_says_so(server, places):
    hidden = itertools.repeat([server.pop()])  # only the frame of this test refers to the iterator
    sock = next(hidden)[0]
    chain = holders(sock, places)
    sock.close()
    assert chain[0] == "an item of a list"
    assert chain[-1] == "... no name was found further on"
