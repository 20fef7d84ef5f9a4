"""The judge's steps one by one: who keeps an accepted end, how long is waited, which end is named, what is remembered."""

from __future__ import annotations

import gc
import os
import socket
import threading
import time

import pytest

from pytest_sockets.leaks import connection_ends, judgement
from pytest_sockets.leaks.judgement import Judge, Surroundings
from pytest_sockets.leaks.owner import Owner, Scope

CLIENT = Owner("fixture", "client", "session")


def enter(ledger, scope):
    ledger.current.enter(scope)


def running(ledger):
    return ledger.current.get()


def keep(ledger, record, owner):
    ledger.reassign(record, owner)


def end_unseen(ledger, owner):
    """The owner ends, and what it left has been judged."""
    ledger.checkpoint()
    ledger.end(owner)
    ledger.suspects()


@pytest.fixture
def judging(ledger):
    return Judge(ledger, ("tcp", "udp", "unix"))


@pytest.fixture
def judge(ledger, judging, test_owner):
    """Ends the owner whose code runs and judges what it has left: `judge(grace, ...)` gives the leaks."""

    def judge(grace=0.0, **around):
        ledger.checkpoint()
        ledger.end(running(ledger).owner)
        enter(ledger, Scope(ledger.session, "teardown"))
        left = judging.after_young_garbage(ledger.suspects())
        return list(judging.judge(left, Surroundings(**around), grace).leaks)

    return judge


@pytest.fixture
def opened():
    """Sockets to close in the end, whatever a test does."""
    opened = []
    yield opened
    for one in opened:
        one.close()


def connect_for(ledger, owner, listener, opened):
    """A connection whose client is `owner`'s and whose accepted end is of the code that runs."""
    before = running(ledger)
    enter(ledger, Scope(owner, "setup"))
    client = socket.socket(listener.family)
    client.connect(listener.getsockname())
    ledger.checkpoint()
    enter(ledger, before)
    accepted, _ = listener.accept()
    opened += [client, accepted]
    return client, accepted


@pytest.fixture(params=["tcp", "unix"])
def listener(request, tmp_path):
    """Opened before the ledger begins."""
    listener = socket.socket(socket.AF_INET if request.param == "tcp" else socket.AF_UNIX)
    listener.bind(("127.0.0.1", 0) if request.param == "tcp" else str(tmp_path / "s"))
    listener.listen()
    yield listener
    listener.close()


class TestAcceptedEnds:
    """What a test accepts goes with the client at the other end, or with its listener, if a wider fixture has that."""

    @pytest.mark.parametrize("over", [False, True])
    def test_it_goes_with_a_client_that_a_living_fixture_has(self, listener, ledger, judge, opened, over):
        client_owner = Owner("fixture", "client", "session")
        _, accepted = connect_for(ledger, client_owner, listener, opened)
        if over:
            end_unseen(ledger, client_owner)
        found = [verdict.entry.fd for verdict in judge()]
        assert found == ([accepted.fileno()] if over else [])
        if not over:
            ledger.end(client_owner)
            owned = {record.key[0]: record.owner for record in ledger.suspects()}
            assert owned[accepted.fileno()] is client_owner

    def test_the_twin_of_two_connections_only_the_one_with_the_living_client_goes(
        self, listener, ledger, judge, opened
    ):
        connect_for(ledger, CLIENT, listener, opened)
        ended = Owner("fixture", "other", "function")
        _, left = connect_for(ledger, ended, listener, opened)
        end_unseen(ledger, ended)
        assert [verdict.entry.fd for verdict in judge()] == [left.fileno()]

    @pytest.mark.parametrize("over", [False, True])
    def test_it_goes_with_a_listener_that_a_living_fixture_has(self, ledger, judge, opened, over, test_owner):
        """The registry notes the listener of what a thread of a library accepts."""
        server_owner = Owner("fixture", "server", "session")
        enter(ledger, Scope(server_owner, "setup"))
        server = socket.create_server(("127.0.0.1", 0))
        ledger.checkpoint()
        enter(ledger, Scope(test_owner, "call"))
        peer = Owner("fixture", "peer", "function")
        _, accepted = connect_for(ledger, peer, server, opened)
        opened.append(server)
        ledger.checkpoint()
        records = {record.key[0]: record for record in ledger.open_records()}
        records[accepted.fileno()].listener = records[server.fileno()]
        for owner in (peer, server_owner) if over else (peer,):
            end_unseen(ledger, owner)
        assert [verdict.entry.fd for verdict in judge()] == ([accepted.fileno()] if over else [])

    def test_a_client_of_the_test_does_not_go_with_the_fixtures_end(
        self, listener, ledger, judge, opened, test_owner
    ):
        """Only what was accepted follows; the test's own connect() is the test's to close."""
        client = socket.socket(listener.family)
        client.connect(listener.getsockname())
        ledger.checkpoint()
        enter(ledger, Scope(CLIENT, "setup"))
        accepted, _ = listener.accept()
        ledger.checkpoint()
        enter(ledger, Scope(test_owner, "call"))
        opened += [client, accepted]
        assert [verdict.entry.fd for verdict in judge()] == [client.fileno()]


class TestWhichEndIsNamed:
    def test_of_sockets_of_one_line_those_in_use_come_first(self, judge, opened):
        opened += [socket.socket() for _ in range(3)]
        opened[2].bind(("127.0.0.1", 0))
        opened[2].listen()
        order = [verdict.entry.fd for verdict in judge()]
        assert order == [opened[2].fileno(), opened[0].fileno(), opened[1].fileno()]

    def test_lines_come_in_the_order_of_their_first_socket(self, judge, opened):
        def first():
            opened.append(socket.socket())

        def second():
            opened.append(socket.create_server(("127.0.0.1", 0)))

        for call in (first, second, first):
            call()
        order = [verdict.entry.fd for verdict in judge()]
        assert order == [opened[0].fileno(), opened[2].fileno(), opened[1].fileno()]

    def test_an_accepted_end_comes_after_its_client_though_it_was_opened_first(self, listener, judge, opened):
        client = socket.socket(listener.family)
        client.connect(listener.getsockname())
        accepted, _ = listener.accept()
        opened += [client, accepted]
        (verdict,) = judge()
        assert verdict.entry.fd == client.fileno()
        if listener.family == socket.AF_INET:  # two unix ends have no addresses in common
            assert verdict.note == f"its other end (fd {accepted.fileno()}) is open, too"

    def test_the_other_end_is_remembered_from_one_test_to_the_next(self, listener, ledger, judge, opened):
        """Only the first of the two is a leak, also if another owner has the second."""
        owner = Owner("fixture", "client", "session")
        client, accepted = connect_for(ledger, owner, listener, opened)
        enter(ledger, Scope(owner, "call"))
        assert [verdict.entry.fd for verdict in judge()] == [client.fileno()]
        enter(ledger, Scope(Owner("test", "t.py::test_2", "function"), "call"))
        record = ledger.by_inode(os.fstat(accepted.fileno()).st_ino)
        keep(ledger, record, running(ledger).owner)
        assert judge() == []

    def test_a_pair_of_each_of_two_tests_is_a_leak_of_each(self, ledger, judge, opened, test_owner):
        for number in range(2):
            enter(ledger, Scope(Owner("test", f"t.py::test_{number}", "function"), "call"))
            opened += socket.socketpair()
            (verdict,) = judge()
            assert verdict.entry.fd == opened[-2].fileno()
            assert verdict.note == f"its other end (fd {opened[-1].fileno()}) is open, too"

    def test_the_second_end_of_a_pair_alone_is_a_leak_without_a_note(self, judge, opened):
        left, right = socket.socketpair()
        left.close()
        opened.append(right)
        (verdict,) = judge()
        assert (verdict.entry.fd, verdict.note) == (right.fileno(), None)

    def test_a_kernel_without_sock_diag_knows_the_ends_of_a_pair_by_their_call(
        self, judge, opened, monkeypatch
    ):
        monkeypatch.setattr(connection_ends, "_unix_peers", dict)
        opened += [*socket.socketpair(), *socket.socketpair()]
        found = [(verdict.entry.fd, verdict.note) for verdict in judge()]
        assert found == [
            (opened[place].fileno(), f"its other end (fd {opened[place + 1].fileno()}) is open, too")
            for place in (0, 2)
        ]

    def test_udp_sockets_that_talk_to_each_other_are_two(self, judge, opened):
        for _ in range(2):
            opened.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            opened[-1].bind(("127.0.0.1", 0))
        opened[0].connect(opened[1].getsockname())
        opened[1].connect(opened[0].getsockname())
        assert len(judge()) == 2


class TestPatience:
    @pytest.fixture
    def waits(self, judging, ledger, monkeypatch):
        """The seconds of each wait; nothing is waited."""
        waits = []
        monkeypatch.setattr(type(ledger), "has_threads", True)
        monkeypatch.setattr(
            judgement, "wait_until", lambda look, seconds: waits.append(round(seconds, 6)) or look()
        )
        return waits

    def test_the_grace_is_a_short_wait_and_then_its_rest(self, judge, waits, opened):
        opened.append(socket.socket())
        assert len(judge(grace=2.0)) == 1
        assert waits == [0.02, 1.98]

    @pytest.mark.parametrize(
        ("grace", "expected"), [(0.0, []), (0.01, [0.01]), (0.02, [0.02]), (0.03, [0.02, 0.01])]
    )
    def test_a_short_grace_is_not_exceeded(self, judge, waits, opened, grace, expected):
        opened.append(socket.socket())
        assert len(judge(grace=grace)) == 1
        assert waits == expected

    def test_a_line_that_outlasted_it_is_waited_for_shortly_from_then_on(self, judge, waits, ledger, opened):
        def leak():
            opened.append(socket.socket())

        for number in range(2):
            enter(ledger, Scope(Owner("test", f"t{number}", "function"), "call"))
            leak()
            judge(grace=2.0)
        assert waits == [0.02, 1.98, 0.02, 0.05]
        enter(ledger, Scope(Owner("test", "t2", "function"), "call"))
        leak()
        opened.append(socket.socket())
        judge(grace=2.0)
        assert waits[4:] == [0.02, 1.98]  # the twin: a new line is among them

    def test_the_run_has_a_budget_for_its_waits(self, judge, judging, waits, ledger, opened):
        opened.append(socket.socket())
        judging._waited = judgement.LONGEST_WAITING - 0.001
        assert not judging.ran_out_of_patience
        judging._waited = judgement.LONGEST_WAITING
        assert judging.ran_out_of_patience
        judge(grace=2.0)
        assert waits == [0.02, 0.05]
        assert (judgement.LONGEST_WAITING, judgement.SHORT_WAIT, judgement.STUBBORN_WAIT) == (
            30.0,
            0.02,
            0.05,
        )

    def test_waits_are_added_up(self, judge, judging, opened):
        opened.append(socket.socket())
        stop = threading.Event()
        thread = threading.Thread(target=stop.wait)
        thread.start()
        began = time.monotonic()
        judge(grace=0.2)
        took = time.monotonic() - began
        stop.set()
        thread.join()
        assert 0.15 < judging._waited <= took

    def test_what_no_python_code_opened_is_waited_for_without_a_thread(
        self, judge, waits, ledger, opened, monkeypatch
    ):
        """A thread of C code could close it."""
        monkeypatch.setattr(type(ledger), "has_threads", False)
        opened.append(socket.socket())
        assert len(judge(grace=2.0)) == 1
        assert waits == []  # the twin: a line is known, and there is no thread
        enter(ledger, Scope(Owner("test", "t2", "function"), "call"))
        opened.append(socket.socket())
        ledger.checkpoint()
        next(
            record for record in ledger.open_records() if record.key[0] == opened[1].fileno()
        ).call_site = None
        assert len(judge(grace=2.0)) == 1
        assert waits == [0.02, 1.98]

    def test_nothing_left_is_no_wait(self, judge, waits):
        assert judge(grace=2.0) == []
        assert waits == []


class TestCollected:
    def test_what_only_the_collector_closed_is_taken_once(self, judge, judging):
        cycle = [socket.create_server(("127.0.0.1", 0))]
        fd = cycle[0].fileno()
        cycle.append(cycle)
        gc.disable()
        try:
            del cycle
            with pytest.warns(ResourceWarning):
                assert judge() == []
        finally:
            gc.enable()
        ((record, entry),) = judging.take_collected()
        assert (record.key[0], record.is_open, entry) == (fd, False, None)
        assert judging.take_collected() == []

    def test_the_twin_what_stays_open_is_not_among_them(self, judge, judging, opened):
        opened.append(socket.socket())
        assert len(judge()) == 1
        assert judging.take_collected() == []


class TestDying:
    def test_what_dies_with_the_fixtures_values_is_apart_from_what_outlives_them(
        self, ledger, judging, test_owner, opened
    ):
        values = {"server": socket.create_server(("127.0.0.1", 0))}
        opened.append(socket.socket())
        ledger.checkpoint()
        ledger.end(test_owner)
        left = judging.after_young_garbage(ledger.suspects())
        found = judging.judge(left, Surroundings(values=values), 0.0)
        assert [verdict.entry.fd for verdict in found.leaks] == [opened[0].fileno()]
        assert [verdict.entry.fd for verdict in found.dropped] == [values["server"].fileno()]
        values.pop("server").close()

    def test_without_values_all_outlive(self, judging):
        assert judging._without_dying([], Surroundings(values={"a": 1})) == ([], [])
        record = object()
        assert judging._without_dying([record], Surroundings()) == ([record], [])
