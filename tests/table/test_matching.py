"""Addresses match by reachability, never by string. An invalid request is a clear error."""

from __future__ import annotations

import pytest

from pytest_sockets.addresses import answers_for
from pytest_sockets.errors import QueryError, SocketsError
from pytest_sockets.model import Endpoint, SocketEntry, SocketTable
from pytest_sockets.table.reading import socket_table


def listener(
    host: str, port: int = 80, *, protocol: str = "tcp", dual: bool | None = None, inode: int = 1
) -> SocketEntry:
    family = "AF_INET6" if ":" in host else "AF_INET"
    status = "LISTEN" if protocol == "tcp" else "NONE"
    return SocketEntry(
        protocol, family, Endpoint(host, port), None, status, inode=inode, pid=1, dual_stack=dual
    )


def connection(local: tuple[str, int], remote: tuple[str, int], status: str = "ESTABLISHED") -> SocketEntry:
    return SocketEntry("tcp", "AF_INET", Endpoint(*local), Endpoint(*remote), status, inode=2)


@pytest.mark.parametrize(
    ("local", "dual", "host", "answer"),
    [
        ("127.0.0.1", None, "127.0.0.1", True),
        ("127.0.0.1", None, "127.0.0.2", False),
        ("0.0.0.0", None, "127.0.0.1", True),
        ("0.0.0.0", None, "192.0.2.1", True),
        ("0.0.0.0", None, "::1", False),
        ("::", True, "::1", True),
        ("::", True, "127.0.0.1", True),
        ("::", False, "127.0.0.1", False),
        ("::", None, "127.0.0.1", True),
        ("::1", None, "127.0.0.1", False),
        ("::ffff:127.0.0.1", None, "127.0.0.1", True),
        ("127.0.0.1", None, "::ffff:127.0.0.1", True),
        ("fe80::1%eth0", None, "fe80::1", True),
        ("fe80::1%eth0", None, "fe80::1%eth0", True),
        ("fe80::1%eth0", None, "fe80::1%lo", False),
        ("::1", None, "0:0:0:0:0:0:0:1", True),
        ("127.0.0.1", None, "0.0.0.0", False),
    ],
)
def test_reachability(local: str, dual: bool | None, host: str, answer: bool):
    assert answers_for(local, host, dual_stack=dual) is answer
    assert (((host, 80) in SocketTable([listener(local, dual=dual)])) is answer) or host == "0.0.0.0"


def test_a_host_name_means_any_family_and_brackets_are_taken_off():
    assert ("localhost", 80) in SocketTable([listener("127.0.0.1")])
    assert ("[::1]", 80) in SocketTable([listener("::1")])
    assert ("localhost", 80) not in SocketTable([listener("192.0.2.7")])
    assert ("", 80) in SocketTable([listener("192.0.2.7")])


def test_a_connection_matches_in_either_order_and_not_with_another_port():
    a, b = ("127.0.0.1", 5000), ("127.0.0.1", 80)
    table = SocketTable([connection(a, b)])
    assert (a, b) in table
    assert (b, a) in table
    assert (("::ffff:127.0.0.1", 5000), b) in table
    assert (("127.0.0.1", 5001), b) not in table
    assert (a, a) not in table
    assert 5000 in table
    assert 80 in table


@pytest.mark.parametrize(
    "wrong",
    [
        True,
        False,
        "80",
        "127.0.0.1:80",
        0,
        -1,
        65536,
        1.5,
        None,
        ("x",),
        ("127.0.0.1", "80"),
        (1, 80),
        (5, True),
    ],
)
def test_an_invalid_port_or_address_is_a_clear_error(wrong: object):
    with pytest.raises(ValueError, match=r"(?s).*\b(port|address|host|looked for)\b") as caught:
        assert wrong not in SocketTable([listener("127.0.0.1")])
    assert isinstance(caught.value, SocketsError)


@pytest.mark.parametrize("wrong", [True, "80", 70000, 0])
def test_on_port_refuses_the_same(wrong: object):
    with pytest.raises(QueryError):
        SocketTable().on_port(wrong)


def test_an_unknown_status_word_names_the_nearest():
    with pytest.raises(QueryError, match="did you mean ESTABLISHED"):
        SocketTable().with_status("ESTAB")
    with pytest.raises(QueryError, match="LISTEN"):
        SocketTable().with_status("LISTENING")
    with pytest.raises(QueryError, match="use one of: process, tree, system"):
        socket_table("host")


def test_a_table_compares_with_any_list_and_keeps_its_algebra():
    one, two = listener("127.0.0.1", 1), listener("127.0.0.1", 2, inode=2)
    table = SocketTable([one, two])
    assert SocketTable() == []
    assert table != []
    assert table == [two, one]
    assert table - SocketTable([one]) == [two]
    assert table & SocketTable([one]) == [one]
    assert SocketTable([one]) + table == table
    assert one in table
    assert one not in SocketTable([two])
    assert table.of_process(1) == table
    assert table.of_process(2) == []
    assert len({table, SocketTable([two, one])}) == 1


def test_udp_listens_when_bound_and_unconnected_and_is_told_apart():
    table = SocketTable([listener("127.0.0.1", 53, protocol="udp"), listener("127.0.0.1", 80, inode=2)])
    assert 53 in table.listening
    assert 53 not in table.listening.tcp
    assert 53 in table.udp
    assert 80 not in table.udp


def test_str_is_a_table_and_repr_is_one_short_line():
    table = SocketTable(listener("127.0.0.1", port, inode=port) for port in range(1, 40))
    lines = str(table).splitlines()
    assert lines[0].split() == ["Netid", "State", "Local", "Address:Port", "Peer", "Address:Port", "Process"]
    assert len(lines) == 40
    assert "127.0.0.1:7" in lines[7]
    assert len(repr(table)) < 240
    assert repr(table).startswith("<SocketTable of 39: tcp 127.0.0.1:1 LISTEN pid 1")
