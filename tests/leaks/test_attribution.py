"""Whose is a socket that a thread opens, or a loop accepts: the starter's, the listener's, or that of the test that runs."""

from __future__ import annotations

import concurrent.futures
import os
import socket
import threading

import pytest

from pytest_sockets.leaks.owner import Owner, Scope
from tests.leaks.conftest import in_library_code, suspects


class TestThreads:
    @pytest.fixture
    def worker(self):
        """A thread that opens a listener when it is told to."""
        told, opened = threading.Event(), threading.Event()
        kept = []

        def work():
            told.wait(10)
            kept.append(socket.create_server(("127.0.0.1", 0)))
            opened.set()

        thread = threading.Thread(target=work)

        def open_now():
            told.set()
            assert opened.wait(10)
            thread.join()

        thread.open_now = open_now
        yield thread
        told.set()
        thread.join()
        for server in kept:
            server.close()

    def test_a_fixtures_thread_works_for_the_fixture(self, ledger, test_owner, fixture_owner, worker):
        before = ledger.enter(Scope(fixture_owner, "setup"))
        worker.start()
        ledger.leave(before)
        worker.open_now()
        assert suspects(ledger, test_owner) == []
        assert [record.owner for record in suspects(ledger, fixture_owner)] == [fixture_owner]

    def test_a_tests_thread_works_for_the_test(self, ledger, test_owner, worker):
        worker.start()
        worker.open_now()
        assert [record.owner for record in suspects(ledger, test_owner)] == [test_owner]

    def test_a_thread_that_a_fixtures_thread_starts_works_for_the_fixture(
        self, ledger, test_owner, fixture_owner, worker
    ):
        go = threading.Event()
        starter = threading.Thread(target=lambda: go.wait(10) and worker.start())
        before = ledger.enter(Scope(fixture_owner, "setup"))
        starter.start()
        ledger.leave(before)
        go.set()
        starter.join()
        worker.open_now()
        assert suspects(ledger, test_owner) == []
        assert [record.owner for record in suspects(ledger, fixture_owner)] == [fixture_owner]

    def test_one_that_is_gone_before_the_next_look_does_so_too(self, ledger, test_owner, fixture_owner):
        kept = []

        def open_it():
            kept.append(socket.create_server(("127.0.0.1", 0)))

        ledger.current.enter(Scope(fixture_owner, "setup"))
        thread = threading.Thread(target=open_it)
        thread.start()
        thread.join()
        with kept[0]:
            assert [record.owner for record in suspects(ledger, fixture_owner)] == [fixture_owner]

    def test_the_twin_without_births_the_test_that_runs_is_blamed(
        self, ledger, test_owner, fixture_owner, worker, monkeypatch
    ):
        monkeypatch.setattr(type(ledger.threads), "starting", lambda *_: None)
        starter = threading.Thread(target=worker.start)
        ledger.current.enter(Scope(fixture_owner, "setup"))
        ledger.leave(Scope(test_owner, "call"))
        starter.start()
        starter.join()
        worker.open_now()
        assert [record.owner for record in suspects(ledger, test_owner)] == [test_owner]

    def test_an_executors_worker_works_for_whoever_hands_it_a_task(self, ledger, test_owner):
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            executor.submit(int).result()
            assert suspects(ledger, test_owner) == []
            second = Owner("test", "second", "function")
            ledger.current.enter(Scope(second, "call"))
            with executor.submit(socket.create_server, ("127.0.0.1", 0)).result():
                assert [record.owner for record in suspects(ledger, second)] == [second]

    def test_a_thread_that_ran_before_works_for_the_session(self, ledger, worker):
        worker.start()
        ledger.begin()
        owner = Owner("test", "first", "function")
        ledger.current.enter(Scope(owner, "call"))
        worker.open_now()
        assert suspects(ledger, owner) == []
        assert [record.owner for record in suspects(ledger, ledger.session)] == [ledger.session]

    def test_a_thread_that_outlives_its_test_still_opens_for_it(self, ledger, test_owner, worker):
        worker.start()
        assert suspects(ledger, test_owner) == []
        ledger.current.enter(Scope(Owner("test", "next", "function"), "call"))
        worker.open_now()
        ledger.checkpoint()
        assert [record.owner for record in ledger.suspects()] == [test_owner]


class TestAccepting:
    ACCEPT = "connection, _ = listener.accept()"

    def test_what_a_librarys_loop_accepts_is_the_listeners(self, ledger, test_owner, fixture_owner):
        before = ledger.enter(Scope(fixture_owner, "setup"))
        listener = socket.create_server(("127.0.0.1", 0))
        ledger.leave(before)
        client = socket.create_connection(listener.getsockname())
        accepted = in_library_code(self.ACCEPT, listener=listener)["connection"]
        with listener, client, accepted:
            ledger.checkpoint()
            record = ledger.at((accepted.fileno(), os.fstat(accepted.fileno()).st_ino))
            assert (record.owner, record.accepted) == (fixture_owner, True)
            assert [found.key[0] for found in suspects(ledger, test_owner)] == [client.fileno()]

    @pytest.mark.parametrize(("before_the_run", "known"), [(True, False), (False, True)])
    def test_what_it_accepts_on_a_listener_that_was_there_before_is_nobodys(
        self, ledger, test_owner, before_the_run, known
    ):
        listener = socket.create_server(("127.0.0.1", 0))
        if before_the_run:
            ledger.begin()
        client = socket.create_connection(listener.getsockname())
        accepted = in_library_code(self.ACCEPT, listener=listener)["connection"]
        with listener, client, accepted:
            for _ in range(2):  # it stays so when the descriptors are listed again
                ledger.checkpoint()
                os.close(os.dup(client.fileno()))
                record = ledger.at((accepted.fileno(), os.fstat(accepted.fileno()).st_ino))
                assert (record is not None) is known
            assert client.fileno() in [found.key[0] for found in suspects(ledger, test_owner)]

    BY_NUMBER = """
import _socket, socket
fd, _ = listener._accept()
connection = socket.socket(listener.family, listener.type, 0, fd)
"""

    def test_so_is_what_a_loop_accepts_that_makes_the_object_itself(self, ledger, test_owner, fixture_owner):
        """As gevent's hub does."""
        before = ledger.enter(Scope(fixture_owner, "setup"))
        listener = socket.create_server(("127.0.0.1", 0))
        ledger.leave(before)
        client = socket.create_connection(listener.getsockname())
        accepted = in_library_code(self.BY_NUMBER, listener=listener)["connection"]
        with listener, client, accepted:
            ledger.checkpoint()
            record = ledger.at((accepted.fileno(), os.fstat(accepted.fileno()).st_ino))
            assert (record.owner, record.accepted) == (fixture_owner, True)
            assert [found.key[0] for found in suspects(ledger, test_owner)] == [client.fileno()]

    def test_an_object_for_a_client_is_not_the_listeners(self, ledger, test_owner, fixture_owner):
        with socket.create_server(("127.0.0.1", 0)) as other:
            before = ledger.enter(Scope(fixture_owner, "setup"))
            listener = socket.create_server(("127.0.0.1", 0))
            ledger.leave(before)
            socket.create_connection(listener.getsockname()).close()
            client = socket.create_connection(other.getsockname())
            made = "import socket\nmade = socket.socket(fileno=fd)"
            again = in_library_code(made, fd=os.dup(client.fileno()))["made"]
            with listener, client, again:
                found = {record.key[0] for record in suspects(ledger, test_owner)}
                assert {client.fileno(), again.fileno()} <= found

    def test_what_the_tests_own_line_accepts_is_the_tests(self, ledger, test_owner, fixture_owner):
        before = ledger.enter(Scope(fixture_owner, "setup"))
        listener = socket.create_server(("127.0.0.1", 0))
        ledger.leave(before)
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        with listener, client, accepted:
            found = suspects(ledger, test_owner)
            assert {record.key[0] for record in found} == {client.fileno(), accepted.fileno()}

    def test_once_the_fixture_is_over_the_test_owns_what_it_accepts(self, ledger, test_owner, fixture_owner):
        before = ledger.enter(Scope(fixture_owner, "setup"))
        listener = socket.create_server(("127.0.0.1", 0))
        ledger.leave(before)
        suspects(ledger, fixture_owner)
        client = socket.create_connection(listener.getsockname())
        accepted = in_library_code(self.ACCEPT, listener=listener)["connection"]
        with listener, client, accepted:
            assert len(suspects(ledger, test_owner)) == 2
