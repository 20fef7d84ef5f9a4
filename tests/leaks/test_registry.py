"""Each socket is in the books once, with the owner whose code opened it, for as long as it is open."""

from __future__ import annotations

import _socket
import contextlib
import gc
import os
import socket
import sys
import tracemalloc

import pytest

from pytest_sockets.leaks import watcher
from pytest_sockets.leaks.attribution import watch
from pytest_sockets.leaks.owner import Owner, Scope
from pytest_sockets.leaks.registry import Registry
from pytest_sockets.real_socket import RealSocket
from tests.leaks.conftest import in_library_code, suspects


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
