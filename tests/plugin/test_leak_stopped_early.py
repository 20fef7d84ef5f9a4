"""A run that ends early reports what earlier tests left, and keeps its exit status."""

from __future__ import annotations

import functools
import signal
import subprocess
import time

import pytest


class TestStoppedEarly:
    def test_dash_x_stops_at_the_first_leak_and_reports_it(self, leaky):
        leaky.write(
            test_a="""
            from leaking import leak
            def test_one(): leak()
            def test_two(): leak()
            """
        )
        done = leaky.run("-x", "--sockets-leaks=error")
        assert (done.exit_code, done.outcomes) == (1, {"passed": 1, "error": 1})
        assert done.owners == ["test_one"]

    def test_without_dash_x_both_are_reported(self, leaky):
        leaky.write(
            test_a="""
            from leaking import leak
            def test_one(): leak()
            def test_two(): leak()
            """
        )
        done = leaky.run("--sockets-leaks=error")
        assert (done.exit_code, done.outcomes) == (1, {"passed": 2, "error": 2})
        assert done.owners == ["test_one", "test_two"]

    def test_dash_x_after_a_failure_judges_the_session_fixture_that_ends_with_it(self, leaky):
        leaky.write(
            test_a="""
            import pytest
            from leaking import leak
            @pytest.fixture(scope="session")
            def pool():
                leak()
                yield
            def test_one(pool): assert False
            def test_two(pool): pass
            """
        )
        done = leaky.run("-x")
        assert (done.outcomes, done.owners) == ({"failed": 1}, ["pool"])

    def test_maxfail_counts_leaks_as_errors(self, leaky):
        leaky.write(
            test_a="""
            import pytest
            from leaking import leak
            @pytest.mark.parametrize("n", range(5))
            def test_one(n): leak()
            """
        )
        done = leaky.run("--maxfail=2", "--sockets-leaks=error")
        assert done.outcomes == {"passed": 2, "error": 2}
        assert done.owners == ["test_one[0]", "test_one[1]"]

    @pytest.mark.parametrize("phase", ["setup", "call", "teardown"])
    def test_pytest_exit_keeps_what_earlier_tests_left(self, leaky, phase):
        leaky.write(
            test_a=f"""
            import pytest
            from leaking import leak
            def test_one(): leak()
            @pytest.fixture
            def stops():
                if {phase!r} == "setup": pytest.exit("enough", returncode=7)
                yield
                if {phase!r} == "teardown": pytest.exit("enough", returncode=7)
            def test_two(stops):
                leak()
                if {phase!r} == "call": pytest.exit("enough", returncode=7)
            def test_three(): leak()
            """
        )
        done = leaky.run("--sockets-leaks=error")
        assert done.exit_code == 7
        assert done.owners[:1] == ["test_one"]
        assert "test_three" not in done.owners
        assert "could not do" not in done.text

    @pytest.mark.parametrize("phase", ["setup", "call", "teardown"])
    def test_keyboard_interrupt_is_exit_2_and_keeps_what_earlier_tests_left(self, leaky, phase):
        leaky.write(
            test_a=f"""
            import pytest
            from leaking import leak
            def test_one(): leak()
            @pytest.fixture
            def interrupted():
                if {phase!r} == "setup": raise KeyboardInterrupt
                yield
                if {phase!r} == "teardown": raise KeyboardInterrupt
            def test_two(interrupted):
                if {phase!r} == "call": raise KeyboardInterrupt
            """
        )
        done = leaky.run("--sockets-leaks=error")
        assert done.exit_code == 2, done.text
        assert done.owners == ["test_one"]
        assert "INTERNALERROR" not in done.text

    def test_a_real_sigint_in_a_running_test_is_exit_2(self, leaky):
        leaky.write(
            test_a="""
            import pathlib, time
            from leaking import leak
            def test_one(): leak()
            def test_two():
                pathlib.Path("ready").touch()
                time.sleep(30)
            """
        )
        report = leaky.folder / "r.json"
        with (leaky.folder / "out.txt").open("w") as output:
            process = subprocess.Popen(
                leaky.command(f"--sockets-report={report}"),
                cwd=leaky.folder,
                env=leaky.environment(),
                stdout=output,
                stderr=output,
                preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
            )  # fmt: skip  (a shell's background job, and what it starts, ignores SIGINT)
            try:
                deadline = time.monotonic() + 20
                while not (leaky.folder / "ready").exists():
                    assert time.monotonic() < deadline, "test_two never began"
                    time.sleep(0.02)
                process.send_signal(signal.SIGINT)
                assert process.wait(20) == 2
            finally:
                process.kill()
                process.wait()
        text = (leaky.folder / "out.txt").read_text()
        assert "1 leaked socket" in text
        assert '"name": "test_a.py::test_one"' in report.read_text()
