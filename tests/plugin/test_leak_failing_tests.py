"""The leak of a test that fails, is skipped or is expected to fail never hides or changes that outcome."""

from __future__ import annotations

import pytest


class TestFailingTests:
    def test_a_failing_tests_leak_is_a_section_not_a_second_failure(self, leaky):
        leaky.write(
            test_a="""
            from leaking import leak
            def test_one():
                leak()
                assert False
            def test_two(): pass
            """
        )
        done = leaky.run("--sockets-leaks=error")
        assert done.outcomes == {"failed": 1, "passed": 1}
        assert done.owners == ["test_one"]
        assert "1 socket left open by test test_a.py::test_one" in done.text

    def test_a_passing_tests_leak_is_an_error(self, leaky):
        leaky.write(
            test_a="""
            from leaking import leak
            def test_one(): leak()
            """
        )
        assert leaky.run("--sockets-leaks=error").outcomes == {"passed": 1, "error": 1}

    def test_a_socket_that_only_the_traceback_refers_to_is_not_blamed_on_the_next_test(self, suite):
        suite.write(
            test_a="""
            import socket
            def test_one():
                server = socket.create_server(("127.0.0.1", 0))
                assert False
            def test_two(): pass
            def test_three(): pass
            """
        )
        done = suite.run("--sockets-leaks=error")
        assert done.outcomes == {"failed": 1, "passed": 2}
        assert done.owners == ["test_one"]

    def test_a_failing_set_up_and_a_leak_is_one_error(self, leaky):
        leaky.write(
            test_a="""
            import pytest
            from leaking import leak
            @pytest.fixture
            def server():
                leak()
                raise RuntimeError("no start")
            def test_one(server): pass
            def test_two(): pass
            """
        )
        done = leaky.run("--sockets-leaks=error")
        assert done.outcomes == {"passed": 1, "error": 1}
        assert done.owners == ["server"]

    def test_a_teardown_error_carries_the_leak_as_a_note(self, leaky):
        leaky.write(
            test_a="""
            import pytest
            from leaking import leak
            @pytest.fixture
            def broken():
                yield
                raise RuntimeError("no stop")
            def test_one(broken): leak()
            """
        )
        done = leaky.run("--sockets-leaks=error")
        assert done.outcomes == {"passed": 1, "error": 1}
        assert "RuntimeError: no stop" in done.text
        assert "1 socket left open by test test_a.py::test_one" in done.text

    def test_an_expected_failure_stays_one(self, leaky):
        leaky.write(
            test_a="""
            import pytest
            from leaking import leak
            @pytest.mark.xfail
            def test_one():
                leak()
                assert False
            """
        )
        done = leaky.run()
        assert (done.exit_code, done.outcomes, done.owners) == (0, {"xfailed": 1}, ["test_one"])

    @pytest.mark.parametrize("mark", ["xfail", "xfail(strict=True)"])
    def test_an_expected_failure_does_not_expect_leaks(self, leaky, mark):
        """Neither its own, nor those of the fixture that ends with it."""
        leaky.write(
            test_a=f"""
            import pytest
            from leaking import leak
            @pytest.fixture(scope="module")
            def kept(): leak()
            @pytest.mark.{mark}
            def test_one():
                leak()
                assert False
            @pytest.mark.{mark}
            def test_two(kept): assert False
            """
        )
        done = leaky.run("--sockets-leaks=error", "-p", "no:randomly")
        assert (done.exit_code, done.outcomes) == (1, {"xfailed": 2, "error": 2}), done.text
        assert set(done.owners) == {"kept", "test_one"}

    @pytest.mark.parametrize("end", ["assert False", "pytest.xfail('later')"])
    def test_a_socket_that_only_an_expected_failures_traceback_refers_to_is_not_a_leak(self, suite, end):
        suite.write(
            test_a=f"""
            import pytest, socket
            @pytest.mark.xfail
            def test_one():
                server = socket.create_server(("127.0.0.1", 0))
                {end}
            def test_two(): pass
            """
        )
        done = suite.run("--sockets-leaks=error")
        assert (done.exit_code, done.outcomes, done.leaks) == (0, {"xfailed": 1, "passed": 1}, []), done.text

    def test_a_skipped_test_that_leaked_is_an_error(self, leaky):
        leaky.write(
            test_a="""
            import pytest
            from leaking import leak
            def test_one():
                leak()
                pytest.skip("late")
            """
        )
        assert leaky.run("--sockets-leaks=error").outcomes == {"skipped": 1, "error": 1}
