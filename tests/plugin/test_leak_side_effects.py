"""Looking for leaks changes neither the suite's objects, nor pytest's state, nor the exit status in warn mode."""

from __future__ import annotations

import pytest

LEAK = """
    import socket
    KEPT = []
    def test_leak():
        KEPT.append(socket.create_server(("127.0.0.1", 0)))
"""

can_limit_warnings = pytest.mark.skipif(
    not hasattr(pytest.ExitCode, "MAX_WARNINGS_ERROR"), reason="this pytest has no --max-warnings"
)


@can_limit_warnings
def test_warn_mode_does_not_count_for_max_warnings(suite):
    done = suite.write(test_a=LEAK).run("--max-warnings=0")
    assert done.exit_code == 0, done.text
    assert len(done.leaks) == 1


@can_limit_warnings
def test_a_warning_of_the_suite_itself_still_counts(suite):
    suite.write(test_a="import warnings\ndef test_warns(): warnings.warn('mine')\n")
    assert suite.run("--max-warnings=0").exit_code == 6


def test_a_conftest_that_counts_warnings_does_not_see_a_leak(suite):
    suite.write(
        test_a=LEAK,
        conftest="""
        def pytest_warning_recorded(warning_message):
            raise SystemExit(str(warning_message.message))
        """,
    )
    done = suite.run()
    assert done.exit_code == 0, done.text
    assert len(done.leaks) == 1


def test_the_finalizer_of_sockets_can_be_called_by_subclasses(suite):
    suite.write(
        test_a="""
        import gc, socket
        class Mine(socket.socket):
            closed = []
            def __del__(self):
                socket.socket.__del__(self)
                self.closed.append(self.fileno())
        def test_own():
            Mine()
            gc.collect()
            assert Mine.closed == [-1]
        def test_callable():
            assert callable(socket.socket.__del__)
        """
    )
    done = suite.run("--sockets-unclosed=warn")
    assert done.exit_code == 0, done.text
    assert [leak["kind"] for leak in done.leaks] == ["unclosed"]


DELETED = """
    import socket
    import pytest
    KEPT = []
    @pytest.fixture(scope="module")
    def connected():
        first, second = socket.socketpair()
        second.settimeout(2)
        yield
        del first  # the last reference: closes it
        assert second.recv(1) == b""
        second.close()
    def test_leak(connected):
        KEPT.append(socket.create_server(("127.0.0.1", 0)))
    def test_next(connected):
        pass
"""


def test_a_variable_that_a_fixture_deletes_is_closed_at_once(suite):
    done = suite.write(test_a=DELETED).run()
    assert done.exit_code == 0, done.text
    assert len(done.leaks) == 1


@pytest.mark.parametrize("closes", [True, False], ids=["closed by a hook", "left"])
def test_fixture_values_stay_until_pytest_drops_them(suite, closes):
    suite.write(
        conftest=f"""
        import pytest
        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item, call):
            report = yield
            if call.when == "teardown":
                client = item.funcargs["client"]
                if {closes}:
                    client.sock.close()
            return report
        """,
        test_a="""
        import socket
        import pytest
        class Client:
            def connect(self):
                self.sock = socket.create_server(("127.0.0.1", 0))
        @pytest.fixture
        def client():
            return Client()
        def test_one(client):
            client.connect()
        """,
    )
    done = suite.run("--sockets-leaks=error")
    assert done.exit_code == 0, done.text
    assert done.leaks == []
