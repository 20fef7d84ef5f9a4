"""A finding says who, where and what holds the socket, within bounds."""

from __future__ import annotations

import socket

import pytest

from pytest_sockets.leaks import finding_builder
from pytest_sockets.leaks.child_listeners import ChildListener
from pytest_sockets.leaks.children import Child
from pytest_sockets.leaks.connection_ends import Verdict
from pytest_sockets.leaks.finding_builder import FindingBuilder
from pytest_sockets.leaks.owner import Owner, Scope
from pytest_sockets.model import Endpoint, SocketEntry

KEPT = []
ENTRY = SocketEntry("tcp", "AF_INET", Endpoint("127.0.0.1", 4001), None, "LISTEN", 7, 1, 2)


@pytest.fixture
def builder(ledger, test_owner):
    yield FindingBuilder(ledger, None)
    while KEPT:
        KEPT.pop().close()


def verdicts(ledger):
    ledger.checkpoint()
    return [
        Verdict(record, record.entry) for record in sorted(ledger.open_records(), key=lambda one: one.key)
    ]


def test_holders_are_searched_for_so_many_lines_and_remembered_for_each(builder, ledger, monkeypatch):
    monkeypatch.setattr(finding_builder, "MOST_EXPLAINED", 2)
    for _ in range(2):
        KEPT.append(socket.socket())
    KEPT.append(socket.socket())
    KEPT.append(socket.socket())
    found = [bool(builder.open(verdict).held_by) for verdict in verdicts(ledger)]
    assert found == [True, True, True, False]


def test_the_first_five_processes_that_share_a_listener_are_named_and_the_others_counted(builder):
    child = Child(10, Scope(Owner("test", "test_a.py::test_one", "function"), "call"), None)

    def note(sharers):
        return builder.child(ChildListener(child, ENTRY, "server", sharers=tuple(sharers))).note

    assert note(range(11, 16)) == "open also in pid 11, 12, 13, 14, 15, by fork"
    assert note(range(11, 18)) == "open also in pid 11, 12, 13, 14, 15 and 2 more, by fork"
    assert note(()) is None
