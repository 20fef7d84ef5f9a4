"""Suspicion is no verdict: what closes by itself, what a fixture keeps and what is the other end are no leaks."""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
import time

import pytest

from pytest_sockets.leaks import judgement
from pytest_sockets.leaks.judgement import SHORT_WAIT, STUBBORN_WAIT, Judge, Surroundings
from pytest_sockets.leaks.owner import Owner, Scope
from pytest_sockets.table import sock_diag


@pytest.fixture
def judge(ledger, test_owner):
    """`judge(grace, ...)`: the verdicts at the end of the test that runs."""
    judges = {}

    def judge(grace=0.0, kinds=("tcp", "udp"), **surroundings):
        judging = Judge(ledger, kinds) if kinds not in judges else judges[kinds]
        judges[kinds] = judging
        ledger.checkpoint()
        owner = ledger.current.get().owner
        ledger.end(owner)
        ledger.current.enter(Scope(ledger.session, "teardown"))
        left = judging.after_young_garbage(ledger.suspects())
        judgement = judging.judge(left, Surroundings(**surroundings), grace)
        judge.dropped = judgement.dropped
        return list(judgement.leaks)

    return judge


@pytest.fixture
def server():
    """Opened before the ledger begins: not the test's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def waits(monkeypatch):
    """The longest time of each wait so far. None is waited out: how long that takes depends on the machine."""
    seconds = []

    def wait(condition, timeout):
        seconds.append(timeout)
        return condition()

    monkeypatch.setattr(judgement, "wait_until", wait)
    return seconds


@pytest.fixture
def idle_thread():
    """A thread that could close something."""
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    yield thread
    stop.set()
    thread.join()


class TestWaiting:
    def test_a_late_closer_is_no_leak(self, judge):
        server = socket.create_server(("127.0.0.1", 0))
        timer = threading.Timer(0.15, server.close)
        timer.start()
        assert judge(grace=5.0) == []
        timer.join()

    def test_without_grace_it_is_one(self, judge):
        server = socket.create_server(("127.0.0.1", 0))
        timer = threading.Timer(60.0, server.close)  # somebody could close it: only the grace ends the wait
        timer.start()
        assert len(judge(grace=0.0)) == 1
        timer.cancel()
        timer.join()
        server.close()

    def test_when_nobody_can_close_it_nobody_waits(self, judge, ledger, monkeypatch):
        monkeypatch.setattr(type(ledger), "has_threads", False)
        with socket.create_server(("127.0.0.1", 0)):
            began = time.monotonic()
            assert len(judge(grace=30.0)) == 1
            assert time.monotonic() - began < 5

    def test_a_line_that_has_outlasted_the_grace_waits_no_second_time(
        self, judge, ledger, waits, idle_thread
    ):
        kept = []
        for number in range(2):
            ledger.current.enter(Scope(Owner("test", f"test_{number}", "function"), "call"))
            kept.append(socket.create_server(("127.0.0.1", 0)))
            assert len(judge(grace=5.0)) == 1
        for server in kept:
            server.close()
        assert waits == [SHORT_WAIT, 5.0 - SHORT_WAIT, SHORT_WAIT, STUBBORN_WAIT]

    def test_another_line_waits_out_the_grace(self, judge, ledger, waits, idle_thread):
        with socket.create_server(("127.0.0.1", 0)):
            assert len(judge(grace=5.0)) == 1
        ledger.current.enter(Scope(Owner("test", "test_two", "function"), "call"))
        with socket.create_server(("127.0.0.1", 0)):
            assert len(judge(grace=5.0)) == 1
        assert waits == [SHORT_WAIT, 5.0 - SHORT_WAIT] * 2

    def test_a_grace_shorter_than_the_short_wait_is_not_exceeded(self, judge, waits, idle_thread):
        with socket.create_server(("127.0.0.1", 0)):
            assert len(judge(grace=SHORT_WAIT / 2)) == 1
        assert waits == [SHORT_WAIT / 2]

    def test_when_the_runs_time_for_waiting_is_used_up_each_wait_is_short(
        self, judge, waits, idle_thread, monkeypatch
    ):
        monkeypatch.setattr(judgement, "LONGEST_WAITING", 0.0)
        with socket.create_server(("127.0.0.1", 0)):
            assert len(judge(grace=5.0)) == 1
        assert waits == [SHORT_WAIT, STUBBORN_WAIT]


class TestGarbage:
    def test_what_one_collection_closes_is_not_open(self, judge):
        cycle = [socket.create_server(("127.0.0.1", 0))]
        cycle.append(cycle)
        gc.disable()
        try:
            del cycle
            with pytest.warns(ResourceWarning):
                assert judge() == []
        finally:
            gc.enable()

    def test_nothing_is_collected_for_a_clean_test(self, judge, monkeypatch):
        monkeypatch.setattr(judgement.gc, "collect", lambda _: pytest.fail("collected"))
        socket.create_server(("127.0.0.1", 0)).close()
        assert judge() == []

    def test_what_dies_with_the_fixture_values_is_not_open(self, judge):
        values = {"server": socket.create_server(("127.0.0.1", 0))}
        assert judge(values=values) == []
        assert len(judge.dropped) == 1
        values["server"].close()


class TestKeepers:
    def test_a_live_fixtures_pool_keeps_what_a_test_opened(self, judge, ledger):
        pool, owner = [], Owner("fixture", "pool", "session")
        pool.append(socket.create_server(("127.0.0.1", 0)))
        assert judge(live=[(owner, [pool])]) == []
        ledger.end(owner)
        (record,) = ledger.suspects()
        assert record.owner is owner
        pool.pop().close()

    def test_a_fixture_that_does_not_hold_it_keeps_nothing(self, judge):
        with socket.create_server(("127.0.0.1", 0)):
            assert len(judge(live=[(Owner("fixture", "pool", "session"), [[]])])) == 1

    def test_the_verdict_says_both_names(self, judge, ledger):
        pool, owner = [socket.create_server(("127.0.0.1", 0))], Owner("fixture", "pool", "session")
        assert judge(live=[(owner, [pool])]) == []
        ledger.current.enter(Scope(owner, "teardown"))
        (verdict,) = judge()
        assert (
            verdict.note == "opened by test tests/test_a.py::test_one, kept by fixture 'pool' (scope session)"
        )
        pool.pop().close()


class TestOneConnection:
    def test_two_ends_of_a_connection_count_once_and_the_client_is_named(self, server, judge):
        client = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
        with client, accepted:
            (verdict,) = judge()
            assert verdict.entry.fd == client.fileno()
            assert verdict.note == f"its other end (fd {accepted.fileno()}) is open, too"

    def test_an_end_that_a_servers_thread_accepted_is_not_mentioned(self, server, judge):
        accepted = []
        thread = threading.Thread(target=lambda: accepted.append(server.accept()[0]))
        thread.start()
        client = socket.create_connection(server.getsockname())
        thread.join()
        with client, accepted[0]:
            (verdict,) = judge()
            assert (verdict.entry.fd, verdict.note) == (client.fileno(), None)

    def test_two_connections_count_twice(self, server, judge):
        with socket.create_connection(server.getsockname()), socket.create_connection(server.getsockname()):
            assert len(judge()) == 2

    def test_listener_and_client_count_both(self, judge):
        server = socket.create_server(("127.0.0.1", 0))
        client = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
        with server, client, accepted:
            assert sorted(verdict.entry.status for verdict in judge()) == ["ESTABLISHED", "LISTEN"]

    def test_a_unix_pair_counts_once(self, judge):
        left, right = socket.socketpair()
        with left, right:
            (verdict,) = judge(kinds=("unix",))
            assert verdict.note == f"its other end (fd {right.fileno()}) is open, too"

    def test_two_unix_pairs_count_twice(self, judge):
        pairs = [socket.socketpair() for _ in range(2)]
        assert len(judge(kinds=("unix",))) == 2
        for left, right in pairs:
            left.close()
            right.close()

    def test_an_end_of_each_of_two_pairs_counts_twice(self, judge):
        ends = []
        for _ in range(2):
            left, right = socket.socketpair()
            right.close()
            ends.append(left)
        assert [verdict.note for verdict in judge(kinds=("unix",))] == [None, None]
        for end in ends:
            end.close()

    def test_the_first_ends_of_two_pairs_and_a_second_one_count_twice(self, judge):
        pairs = [socket.socketpair() for _ in range(2)]
        pairs[0][1].close()
        assert len(judge(kinds=("unix",))) == 2
        for left, right in pairs:
            left.close()
            right.close()

    def test_two_ends_at_a_unix_path_count_once(self, judge, tmp_path):
        with connected_at(tmp_path / "s") as (client, accepted):
            (verdict,) = judge(kinds=("unix",))
            assert verdict.entry.fd == client.fileno()
            assert verdict.note == f"its other end (fd {accepted.fileno()}) is open, too"


class TestWithoutSockDiag:
    """A kernel that does not tell the peers of unix sockets."""

    @pytest.fixture(autouse=True)
    def missing(self, monkeypatch):
        def unix_peers():
            raise sock_diag.SockDiagMissing

        monkeypatch.setattr(sock_diag, "unix_peers", unix_peers)

    def test_a_pair_counts_once_by_the_call_that_made_it(self, judge):
        left, right = socket.socketpair()
        with left, right:
            (verdict,) = judge(kinds=("unix",))
            assert verdict.note == f"its other end (fd {right.fileno()}) is open, too"

    def test_both_ends_at_a_path_are_named(self, judge, tmp_path):
        with connected_at(tmp_path / "s"):
            assert len(judge(kinds=("unix",))) == 2


@contextlib.contextmanager
def connected_at(path):
    """A client, and what a listener on `path` accepted, which is closed by then."""
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(path))
        server.listen()
        client.connect(str(path))
        accepted, _ = server.accept()
        server.close()
        with accepted:
            yield client, accepted


class TestAcceptedEnds:
    """What a test accepts from the client of a wider fixture goes with that client."""

    @pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX], ids=["tcp", "unix"])
    @pytest.mark.parametrize("lives", [True, False], ids=["client lives", "client is the test's"])
    def test_an_accepted_end_is_judged_with_a_client_that_lives_on(
        self, judge, ledger, test_owner, tmp_path, family, lives
    ):
        owner = Owner("fixture", "client", "session")
        ledger.current.enter(Scope(owner if lives else test_owner, "setup"))
        client = socket.socket(family)
        ledger.checkpoint()
        ledger.current.enter(Scope(test_owner, "call"))
        with socket.socket(family) as server, client:
            server.bind(str(tmp_path / "s") if family == socket.AF_UNIX else ("127.0.0.1", 0))
            server.listen()
            client.connect(server.getsockname())
            accepted, _ = server.accept()
            server.close()
            with accepted:
                found = judge(kinds=("tcp", "unix"))
                assert [verdict.entry.fd for verdict in found] == ([] if lives else [client.fileno()])
                ledger.end(owner)
                left = sorted(record.key[0] for record in ledger.suspects())
                assert left == (sorted([client.fileno(), accepted.fileno()]) if lives else [])


class TestKinds:
    @pytest.mark.parametrize(
        ("kinds", "protocols"),
        [
            (("tcp",), ["tcp"]),
            (("udp",), ["udp"]),
            (("unix",), ["unix"]),
            (("tcp", "udp", "unix"), ["tcp", "udp", "unix"]),
        ],
    )
    def test_only_the_wanted_ones(self, judge, kinds, protocols, tmp_path):
        with (
            socket.socket() as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
            socket.socket(socket.AF_UNIX) as unix,
        ):
            assert tcp.fileno() != udp.fileno() != unix.fileno()
            assert sorted(verdict.entry.protocol for verdict in judge(kinds=kinds)) == protocols

    def test_families_that_are_none_of_these_are_not_watched(self, judge):
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0):
            assert judge(kinds=("tcp", "udp", "unix")) == []


class TestDeferred:
    """What an idle loop of a wider scope closes on its next turn waits for the end of the session."""

    class Transport:
        def __init__(self, sock, loop, closing):
            self._sock, self._loop, self._closing = sock, loop, closing

    @pytest.mark.parametrize(("closing", "verdicts"), [(True, 0), (False, 1)])
    def test_a_transport_that_is_closing_waits_for_its_loop(self, judge, closing, verdicts):
        import asyncio

        loop = asyncio.new_event_loop()
        try:
            with socket.create_server(("127.0.0.1", 0)) as server:
                transport = self.Transport(server, loop, closing)
                assert len(judge()) == verdicts
                del transport
        finally:
            loop.close()

    def test_at_the_sessions_end_nothing_waits(self, judge):
        import asyncio

        loop = asyncio.new_event_loop()
        try:
            with socket.create_server(("127.0.0.1", 0)) as server:
                transport = self.Transport(server, loop, True)
                assert len(judge(final=True)) == 1
                del transport
        finally:
            loop.close()


def test_a_socket_that_closes_while_it_is_judged_is_no_leak(judge, ledger, monkeypatch):
    server = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setattr(judgement.gc, "collect", lambda _: server.close())
    assert judge() == []


def test_fifty_threads_that_open_and_close_do_not_disturb(judge, ledger):
    """Judging runs while others change the books; the leak is found, and none of the closed ones."""
    stop = threading.Event()

    def busy():
        while not stop.wait(0.001):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.connect(("127.0.0.1", 9))

    with socket.create_server(("127.0.0.1", 0)) as server:
        ledger.checkpoint()
        ledger.current.enter(Scope(Owner("fixture", "noise", "session"), "setup"))
        threads = [threading.Thread(target=busy) for _ in range(50)]
        for thread in threads:
            thread.start()
        ledger.checkpoint()
        first = next(record for record in ledger.open_records() if record.key[0] == server.fileno())
        ledger.current.enter(Scope(first.owner, "call"))
        found = judge(grace=0.1)
        stop.set()
        for thread in threads:
            thread.join()
        assert [verdict.entry.fd for verdict in found] == [server.fileno()]
