"""A failure inside a server is reported once, by the test during which it happened."""

from __future__ import annotations

import re

SCRIPTED = """
    import time
    import pytest

    def serve(conn):
        conn.expect(b"HELLO")
        conn.send(b"WORLD")
        conn.expect(b"QUIT")

    def until(condition):
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline

    def fail_the_handler(server):
        client = server.connect()
        client.sendall(b"HULLO")
        until(lambda: server.connections and not server.connections[0].is_open)
"""


def run(suite, tests, *options, conftest=None, **settings):
    files = {"conftest": conftest} if conftest else {}
    suite.write(test_a=SCRIPTED + tests, **files)
    return suite.run("-p", "no:randomly", *options, report=False, **settings)


def test_a_failure_that_is_known_by_the_end_of_the_call_fails_the_call(suite):
    """With the handler's own line, the bytes of both, and no frame of this plugin."""
    done = run(
        suite,
        """
    def test_wrong(scripted_server_factory):
        fail_the_handler(scripted_server_factory(serve))

    def test_right(scripted_server_factory):
        client = scripted_server_factory(serve).connect()
        client.sendall(b"HELLOQUIT")
        assert client.recv(10) == b"WORLD"
""",
    )
    assert done.outcomes == {"passed": 1, "failed": 1}, done.text
    assert "_ test_wrong _" in done.text
    assert '>       conn.expect(b"HELLO")' in done.text
    assert "they differ at byte 1" in done.text
    assert "pytest_sockets/servers" not in done.text.replace("\\", "/")


def test_a_call_that_fails_itself_keeps_its_error_and_shows_the_handlers(suite):
    """Not also as an error of the teardown."""
    done = run(
        suite,
        """
    def test_wrong(scripted_server_factory):
        client = scripted_server_factory(serve).connect()
        client.sendall(b"HULLO")
        assert client.recv(10) == b"WORLD"
""",
    )
    assert done.outcomes == {"failed": 1}, done.text
    assert re.search("^FAILED test_a.py::test_wrong - ConnectionResetError", done.text, re.MULTILINE)
    assert "- failures inside servers of pytest-sockets -" in done.text
    assert 'conn.expect(b"HELLO")' in done.text
    assert "they differ at byte 1" in done.text


def test_a_failure_that_comes_after_the_call_is_an_error_of_the_teardown(suite):
    done = run(
        suite,
        """
    def test_late(scripted_server_factory):
        client = scripted_server_factory(serve).connect()
        client.sendall(b"HELLO")
        assert client.recv(10) == b"WORLD"
""",
    )
    assert done.outcomes == {"passed": 1, "error": 1}, done.text
    assert "ERROR at teardown of test_late" in done.text
    assert "b'QUIT' never came; the server stopped" in done.text


def test_what_follows_from_a_failed_call_is_no_second_failure(suite):
    """Its client ended early: a handler that still waits and a handler without a connection are consequences."""
    done = run(
        suite,
        """
    def test_early(scripted_server_factory):
        client = scripted_server_factory([serve, serve]).connect()
        client.sendall(b"HELLO")
        assert client.recv(10) == b"world"

    def test_client_closed(scripted_server_factory):
        with scripted_server_factory([serve, serve]).connect() as client:
            client.sendall(b"HELLO")
            assert client.recv(10) == b"world"
""",
    )
    assert done.outcomes == {"failed": 2}, done.text


def test_another_failure_after_a_failed_call_is_reported(suite):
    """The twin: a handler's own exception follows from nothing."""
    done = run(
        suite,
        """
    def clean_up(conn):
        assert conn.readline()
        assert conn.readline() == b""
        raise LookupError("a bug of the handler")

    def test_early(scripted_server_factory):
        scripted_server_factory(clean_up).connect().sendall(b"x\\n")
        assert 0
""",
    )
    assert done.outcomes == {"failed": 1, "error": 1}, done.text
    assert "LookupError: a bug of the handler" in done.text


def test_a_failure_that_the_test_checks_for_is_its_own_affair(suite):
    done = run(
        suite,
        """
    from pytest_sockets import ServerFault

    def test_checks(scripted_server_factory):
        server = scripted_server_factory(serve)
        fail_the_handler(server)
        with pytest.raises(ServerFault, match="the handler serve of connection 0 failed"):
            server.check()

    def test_does_not(scripted_server_factory):
        fail_the_handler(scripted_server_factory(serve))

    def test_waits(scripted_server_factory):
        server = scripted_server_factory(serve)
        fail_the_handler(server)
        server.wait_connections(2)
""",
    )
    assert done.outcomes == {"passed": 1, "failed": 2}, done.text
    assert "failures inside servers" not in done.text, "it is the error of the call itself"


def test_skips_and_expected_failures_keep_their_meaning(suite):
    done = run(
        suite,
        """
    def test_skips(scripted_server_factory):
        fail_the_handler(scripted_server_factory(serve))
        pytest.skip("too late")

    @pytest.mark.xfail(strict=True)
    def test_xfail(scripted_server_factory):
        fail_the_handler(scripted_server_factory(serve))
""",
    )
    assert done.outcomes == {"skipped": 1, "error": 1, "xfailed": 1}, done.text


def test_a_failure_in_a_failing_set_up_is_shown_there(suite):
    done = run(
        suite,
        """
    @pytest.fixture
    def broken(scripted_server_factory):
        client = scripted_server_factory(serve).connect()
        client.sendall(b"HULLO")
        return client.recv(10)

    @pytest.fixture
    def quiet(scripted_server_factory):
        fail_the_handler(scripted_server_factory(serve))

    def test_set_up(broken): pass
    def test_call(quiet): pass
""",
    )
    assert done.outcomes == {"error": 1, "failed": 1}, done.text
    assert "ERROR at setup of test_set_up" in done.text
    assert done.text.count("- failures inside servers of pytest-sockets -") == 1


SESSION = """
    import pytest

    @pytest.fixture(scope="session")
    def service(session_scripted_server_factory):
        def serve(conn):
            while line := conn.readline():
                if line == b"bad\\n":
                    raise LookupError("no such command")
                conn.send(line)
        return session_scripted_server_factory(serve, timeout=None)
"""


def test_a_session_servers_failure_is_that_of_the_test_during_which_it_happened(suite):
    done = run(
        suite,
        """
    def test_before(service): service.connect().sendall(b"good\\n")

    def test_quiet(service):
        service.connect().sendall(b"bad\\n")
        until(lambda: len(service.failures) == 1)

    def test_loud(service):
        client = service.connect()
        client.sendall(b"bad\\n")
        assert client.recv(10) == b"bad\\n"

    @pytest.fixture
    def late(service):
        yield
        service.connect().sendall(b"bad\\n")
        until(lambda: len(service.failures) == 3)

    def test_late(late): pass
    def test_after(service): service.connect().sendall(b"good\\n")
    def test_without(): pass
""",
        "-rA",
        conftest=SESSION,
    )
    assert done.outcomes == {"passed": 4, "failed": 2, "error": 1}, done.text
    outcomes = re.findall(r"^(FAILED|ERROR) test_a.py::(\w+)", done.text, re.MULTILINE)
    assert sorted(outcomes) == [("ERROR", "test_late"), ("FAILED", "test_loud"), ("FAILED", "test_quiet")]
    assert "FAILED test_a.py::test_loud - ConnectionResetError" in done.text


def test_handlers_of_a_list_that_had_no_connection_fail_the_test(suite):
    done = run(
        suite,
        """
    def first(conn): conn.send(b"1")
    def second(conn): conn.send(b"2")
    def third(conn): conn.send(b"3")

    def ask(server):
        with server.connect() as client:
            return client.recv(1)

    def test_too_few(scripted_server_factory):
        assert ask(scripted_server_factory([first, second, third])) == b"1"

    def test_stopped(scripted_server_factory):
        server = scripted_server_factory([first, second])
        assert ask(server) == b"1"
        server.stop()

    def test_enough(scripted_server_factory):
        server = scripted_server_factory([first, second, third])
        assert [ask(server) for _ in range(3)] == [b"1", b"2", b"3"]
""",
    )
    assert done.outcomes == {"passed": 2, "failed": 1, "error": 1}, done.text
    assert "1 of 3 connections came; these handlers had no connection:" in done.text
    assert re.search(r"^ +1: second\n +2: third\n", done.text, re.MULTILINE), done.text
    assert "1 of 2 connections came; this handler had no connection:" in done.text


def test_a_session_servers_list_need_not_be_used_up(suite):
    """No worker and no `-k` runs all the tests that would use it."""
    done = run(
        suite,
        """
    @pytest.fixture(scope="session")
    def service(session_scripted_server_factory):
        return session_scripted_server_factory([lambda conn: conn.send(b"1"), serve])

    def test_it(service): assert service.connect().recv(1) == b"1"
""",
    )
    assert done.outcomes == {"passed": 1}, done.text


def test_a_test_that_runs_again_has_new_servers(suite):
    done = run(
        suite,
        """
    runs = []

    def test_flaky(scripted_server_factory):
        runs.append(1)
        if len(runs) == 1:
            fail_the_handler(scripted_server_factory(serve))
        assert len(runs) == 2
""",
        "--reruns=1",
        plugins=("rerunfailures",),
    )
    assert done.outcomes.get("passed") == 1, done.text
    assert "error" not in done.outcomes, done.text


def test_unittest_keeps_its_own_failure(suite):
    """pytest sets it in a hook of its own, after the call has returned."""
    done = run(
        suite,
        """
    import unittest

    class TestIt(unittest.TestCase):
        @pytest.fixture(autouse=True)
        def servers(self, scripted_server_factory):
            self.server = scripted_server_factory(serve)

        def test_own(self):
            fail_the_handler(self.server)
            self.assertEqual(1, 2)

        def test_handlers(self):
            fail_the_handler(self.server)
""",
    )
    assert done.outcomes == {"failed": 2}, done.text
    assert "AssertionError: 1 != 2" in done.text
    assert done.text.count("- failures inside servers of pytest-sockets -") == 1
