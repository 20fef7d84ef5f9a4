"""Each socket is in the books once, with the owner whose code opened it, for as long as it is open."""

from __future__ import annotations

import _socket
import concurrent.futures
import contextlib
import gc
import os
import socket
import sys
import sysconfig
import threading
import tracemalloc

import pytest

from pytest_sockets.leaks import watcher
from pytest_sockets.leaks.attribution import watch
from pytest_sockets.leaks.owner import Owner, Scope
from pytest_sockets.leaks.registry import Registry
from pytest_sockets.real_socket import RealSocket


@pytest.fixture
def fixture_owner():
    return Owner("fixture", "server", "module")


def suspects(ledger, owner):
    ledger.checkpoint()
    ledger.end(owner)
    return ledger.suspects()


def in_library_code(source, **names):
    """Run as the code of a file of the standard library, in a thread: no line of the user's is on the stack."""
    code = compile(source, os.path.join(sysconfig.get_paths()["stdlib"], "made_up.py"), "exec")
    thread = threading.Thread(target=exec, args=(code, names))
    thread.start()
    thread.join()
    return names


class TestOwners:
    def test_an_open_socket_is_suspect_at_its_owners_end(self, ledger, test_owner):
        with socket.create_server(("127.0.0.1", 0)) as server:
            (record,) = suspects(ledger, test_owner)
            assert (record.owner, record.phase) == (test_owner, "call")
            assert record.key == (server.fileno(), os.fstat(server.fileno()).st_ino)

    def test_a_closed_one_is_not(self, ledger, test_owner):
        socket.create_server(("127.0.0.1", 0)).close()
        assert suspects(ledger, test_owner) == []

    def test_it_is_suspect_once(self, ledger, test_owner):
        with socket.create_server(("127.0.0.1", 0)):
            assert len(suspects(ledger, test_owner)) == 1
            assert suspects(ledger, test_owner) == []

    def test_the_innermost_set_up_owns(self, ledger, test_owner, fixture_owner):
        before = ledger.enter(Scope(fixture_owner, "setup"))
        with socket.create_server(("127.0.0.1", 0)):
            ledger.leave(before)
            assert suspects(ledger, test_owner) == []
            (record,) = suspects(ledger, fixture_owner)
            assert (record.owner, record.phase) == (fixture_owner, "setup")

    def test_what_was_opened_before_a_fixture_stays_with_the_test(self, ledger, test_owner, fixture_owner):
        with socket.create_server(("127.0.0.1", 0)):
            ledger.leave(ledger.enter(Scope(fixture_owner, "setup")))
            assert suspects(ledger, fixture_owner) == []
            assert len(suspects(ledger, test_owner)) == 1

    def test_a_kept_socket_is_judged_with_its_keeper(self, ledger, test_owner, fixture_owner):
        with socket.create_server(("127.0.0.1", 0)):
            (record,) = suspects(ledger, test_owner)
            ledger.reassign(record, fixture_owner)
            assert suspects(ledger, fixture_owner) == [record]
            assert (record.owner, record.opener) == (fixture_owner, test_owner)


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


class TestDescriptors:
    def test_a_detached_descriptor_keeps_its_opening_line(self, ledger, test_owner):
        server = socket.create_server(("127.0.0.1", 0))
        fd = server.detach()
        try:
            (record,) = suspects(ledger, test_owner)
            assert record.key[0] == fd
            assert record.call_site.opened_at(ledger.places).function == self_name()
        finally:
            os.close(fd)

    def test_one_that_was_never_bound_is_found_all_the_same(self, ledger, test_owner):
        fd = socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach()
        try:
            (record,) = suspects(ledger, test_owner)
            assert (record.key[0], record.call_site.opened_at(ledger.places).function) == (fd, self_name())
        finally:
            os.close(fd)

    def test_a_duplicate_names_its_original(self, ledger, test_owner):
        with socket.create_server(("127.0.0.1", 0)) as server:
            fd = os.dup(server.fileno())
            original = server.fileno()
            ledger.checkpoint()
        try:
            (record,) = suspects(ledger, test_owner)
            assert (record.key[0], record.duplicate_of[0]) == (fd, original)
            assert record.call_site.opened_at(ledger.places).function == self_name()
        finally:
            os.close(fd)

    def test_a_closed_duplicate_is_no_suspect(self, ledger, test_owner):
        with socket.create_server(("127.0.0.1", 0)) as server:
            os.close(os.dup(server.fileno()))
        assert suspects(ledger, test_owner) == []

    def test_the_same_descriptor_number_is_another_socket(self, ledger, test_owner, fixture_owner):
        before = ledger.enter(Scope(fixture_owner, "setup"))
        first = socket.create_server(("127.0.0.1", 0))
        number = first.fileno()
        ledger.leave(before)
        first.close()
        with socket.create_server(("127.0.0.1", 0)) as second:
            assert second.fileno() == number
            assert suspects(ledger, fixture_owner) == []
            assert [record.key[0] for record in suspects(ledger, test_owner)] == [number]

    def test_a_second_object_for_a_descriptor_is_no_second_socket(self, ledger, test_owner):
        first = socket.create_server(("127.0.0.1", 0))
        ledger.checkpoint()
        again = socket.socket(fileno=first.fileno())
        with again:
            first.detach()
            assert len(suspects(ledger, test_owner)) == 1

    def test_a_descriptor_that_no_python_code_opened_has_an_owner_and_no_line(self, ledger, test_owner):
        left, right = c_socketpair()
        try:
            found = suspects(ledger, test_owner)
            assert sorted(record.key[0] for record in found) == sorted((left, right))
            assert {record.call_site for record in found} == {None}
        finally:
            os.close(left)
            os.close(right)


def c_socketpair():
    """Two descriptors that no Python object wraps, as a C extension makes them: no audit event tells of them."""
    left, right = _socket.socketpair()
    return left.detach(), right.detach()


def self_name():
    return sys._getframe(1).f_code.co_name


class TestNotTheSuites:
    def test_what_was_open_before_the_run_is_nobodys(self, ledger, test_owner):
        with socket.create_server(("127.0.0.1", 0)) as server:
            ledger.begin()
            os.close(os.dup(0))
            with contextlib.closing(socket.socket()):
                pass
            assert suspects(ledger, test_owner) == []
            assert ledger.by_inode(os.fstat(server.fileno()).st_ino) is None

    def test_the_plugins_own_are_not_in_the_books(self, ledger, test_owner):
        with RealSocket(socket.AF_INET, socket.SOCK_STREAM) as ours:
            ours.bind(("127.0.0.1", 0))
            assert suspects(ledger, test_owner) == []

    def test_what_a_plugin_opens_between_two_tests_is_foreign(self, ledger):
        kept = in_library_code("import socket\nkept = socket.create_server(('127.0.0.1', 0))")["kept"]
        with kept:
            assert suspects(ledger, ledger.session) == []

    def test_what_the_users_conftest_opens_there_is_the_sessions(self, ledger):
        with socket.create_server(("127.0.0.1", 0)):
            assert [record.owner for record in suspects(ledger, ledger.session)] == [ledger.session]


class TestBounds:
    @pytest.mark.parametrize(
        "use", [lambda sock: None, lambda sock: sock.bind(("127.0.0.1", 0))], ids=["new", "bound"]
    )
    def test_one_test_may_open_and_close_for_ever(self, ledger, test_owner, use):
        """Each socket costs 600 bytes in the books until it is struck out."""
        self.open_and_close(5000, use)
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        self.open_and_close(20_000, use)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert grown < 3_000_000
        assert suspects(ledger, test_owner) == []

    def test_what_stays_open_among_them_is_still_found(self, ledger, test_owner):
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.open_and_close(5000, lambda sock: None)
            assert [record.key[0] for record in suspects(ledger, test_owner)] == [server.fileno()]

    def test_the_books_of_a_session_fixture_are_cleared_too(self, ledger, fixture_owner):
        ledger.current.enter(Scope(fixture_owner, "call"))
        for _ in range(5):
            self.open_and_close(1000, lambda sock: sock.bind(("127.0.0.1", 0)))
            ledger.checkpoint()
        assert len(ledger._newest) < 100
        ledger.end(fixture_owner)
        assert ledger.suspects() == []

    @staticmethod
    def open_and_close(times, use):
        for _ in range(times):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                use(sock)

    def test_a_test_that_opens_nothing_lists_nothing(self, ledger, test_owner, monkeypatch):
        from pytest_sockets.table import own_fds

        ledger.checkpoint()
        monkeypatch.setattr(own_fds, "socket_inodes", lambda: pytest.fail("the descriptors were listed"))
        for _ in range(5):
            ledger.checkpoint()

    def test_one_that_opens_a_foreign_socket_does(self, ledger, test_owner, monkeypatch):
        from pytest_sockets.table import own_fds

        ledger.checkpoint()
        left, right = c_socketpair()
        listed = []
        monkeypatch.setattr(own_fds, "socket_inodes", lambda: listed.append(1) or {})
        ledger.checkpoint()
        os.close(left)
        os.close(right)
        assert listed


class TestOurOwnTrouble:
    def test_descriptors_that_cannot_be_listed_leave_what_python_opened(
        self, ledger, test_owner, monkeypatch
    ):
        from pytest_sockets.table import own_fds

        def refused():
            raise PermissionError(13, "refused")

        monkeypatch.setattr(own_fds, "socket_inodes", refused)
        with socket.create_server(("127.0.0.1", 0)):
            assert len(suspects(ledger, test_owner)) == 1

    @pytest.fixture
    def failing(self, places):
        """`failing(error)`: a registry whose events raise it; gives what it records."""
        watched = []

        def failing(error):
            registry = Registry(places, Owner("session", "session", "session"))
            attribution = watch(registry)
            watched.append(attribution)
            recorded = []
            attribution.on_error = lambda what, error: recorded.append((what, error))

            def broken(*_):
                raise error

            registry.add = broken
            return recorded

        yield failing
        for attribution in watched:
            watcher.stop_listening(attribution)

    def test_an_error_of_the_registry_is_recorded_and_the_socket_is_opened(self, failing):
        error = ValueError("of the plugin")
        recorded = failing(error)
        socket.socket().close()
        assert recorded == [("noting: socket opened", error)]

    @pytest.mark.filterwarnings("ignore::ResourceWarning")
    def test_ctrl_c_that_lands_in_the_registry_reaches_the_code_that_opens_a_socket(self, failing):
        recorded = failing(KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt) as info:
            socket.socket()
        del info
        gc.collect()  # the socket that nobody got is dropped here
        assert recorded == []
