"""Which sockets a run watches: by protocol, and unix sockets also by whether they have a path."""

from __future__ import annotations

import socket

import pytest

from pytest_sockets.leaks.kinds import DEFAULT, includes, watches, watches_unix
from pytest_sockets.table.own_socket import describe


@pytest.fixture
def listener(tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        yield server


def test_a_listener_its_client_and_what_it_accepted_have_a_path(listener):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(listener.getsockname())
        with listener.accept()[0] as accepted:
            for sock in (listener, client, accepted):
                assert watches(DEFAULT, describe(sock.fileno()))
                assert watches(("unix",), describe(sock.fileno()))
                assert not watches(("tcp", "udp"), describe(sock.fileno()))


def test_a_client_keeps_its_path_when_the_server_has_gone(listener):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(listener.getsockname())
        listener.close()
        assert watches(DEFAULT, describe(client.fileno()))


def test_pairs_unnamed_and_abstract_sockets_have_none():
    left, right = socket.socketpair()
    with left, right, socket.socket(socket.AF_UNIX) as unnamed, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0{__name__}")
        for sock in (left, right, unnamed, abstract):
            assert not watches(DEFAULT, describe(sock.fileno()))
            assert watches(("unix",), describe(sock.fileno()))


@pytest.mark.parametrize(
    ("kinds", "others", "expected"),
    [
        (("tcp", "udp", "unix"), DEFAULT, True),
        (DEFAULT, ("tcp", "udp"), True),
        (DEFAULT, ("tcp", "unix"), False),
        (("tcp", "udp"), DEFAULT, False),
    ],
)
def test_all_unix_sockets_include_those_with_a_path(kinds, others, expected):
    assert includes(kinds, others) is expected


def test_unix_sockets_are_listed_only_where_some_are_watched():
    assert [watches_unix(kinds) for kinds in (DEFAULT, ("unix",), ("tcp", "udp"))] == [True, True, False]
