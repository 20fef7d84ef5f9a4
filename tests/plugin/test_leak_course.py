"""Runs that do not go straight through: nothing is lost, nobody innocent is blamed, no outcome is changed."""

from __future__ import annotations

import functools
import os
import re
import signal
import subprocess
import textwrap
import time

import pytest

LEAK = """
    import socket
    KEPT = []
    def leak():
        KEPT.append(socket.create_server(("127.0.0.1", 0)))
"""


@pytest.fixture
def leaky(suite):
    """A suite with `leak()`, which leaves one listener open for ever."""
    return suite.write(leaking=LEAK)


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
            deadline = time.monotonic() + 20
            while not (leaky.folder / "ready").exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 2
        text = (leaky.folder / "out.txt").read_text()
        assert "1 leaked socket" in text
        assert '"name": "test_a.py::test_one"' in report.read_text()


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

    def test_the_passing_twin_errs(self, leaky):
        leaky.write(
            test_a="""
            from leaking import leak
            def test_one(): leak()
            """
        )
        assert leaky.run("--sockets-leaks=error").outcomes == {"passed": 1, "error": 1}

    def test_what_a_traceback_keeps_alive_is_not_the_next_tests(self, suite):
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
        assert set(done.owners) <= {"test_one"}

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
    def test_what_the_traceback_of_an_expected_failure_keeps_is_no_leak(self, suite, end):
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

    def test_a_skipped_test_that_leaked_errs_in_error_mode(self, leaky):
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


class TestWarnMode:
    CODE = """
        from leaking import leak
        def test_one(): leak()
        def test_two(): pass
    """

    @pytest.mark.parametrize(
        "arguments",
        [
            ("-W", "error"),
            ("-o", "filterwarnings=error"),
            ("-W", "error::pytest_sockets.errors.SocketLeakWarning"),
            ("-W", "error", "-n", "2", "-p", "xdist"),
            ("-p", "no:warnings"),
            ("-W", "error", "-p", "no:terminal"),
        ],
        ids=" ".join,
    )
    def test_no_filter_turns_a_leak_into_a_failure(self, leaky, arguments):
        leaky.write(test_a=self.CODE)
        done = leaky.run(*arguments)
        assert done.exit_code == 0, done.text
        assert done.owners == ["test_one"]

    def test_the_same_filter_fails_on_the_tests_own_warning(self, leaky):
        leaky.write(test_a="def test_one(): __import__('warnings').warn('x')")
        assert leaky.run("-W", "error").exit_code == 1

    def test_the_warning_is_listed_even_under_an_error_filter(self, leaky):
        leaky.write(test_a=self.CODE)
        done = leaky.run("-W", "error")
        assert "test_a.py:3: SocketLeakWarning: 1 socket left open by test test_a.py::test_one" in done.text

    def test_an_ignore_filter_silences_the_warning_and_keeps_the_section(self, leaky):
        leaky.write(test_a=self.CODE)
        done = leaky.run("-W", "ignore")
        assert "SocketLeakWarning" not in done.text
        assert "1 leaked socket of 1 owner" in done.text

    @pytest.mark.parametrize("made_by", ["test", "earlier test"])
    def test_what_finalizers_raise_while_we_judge_is_not_the_next_tests(self, leaky, made_by):
        """Judging collects garbage; without it the interpreter or the end of the run does."""
        garbage = "c = C(); c.me = c; c.file = open(__file__)"
        leaky.write(
            test_a=f"""
            import gc
            from leaking import leak
            class C: pass
            def test_before():
                gc.disable()
                {garbage if made_by == "earlier test" else "pass"}
            def test_one():
                {garbage if made_by == "test" else "pass"}
                leak()
            def test_next(): pass
            """
        )
        plain = leaky.run("-W", "error", "-p", "no:randomly", "--sockets-leaks=off", anew=True)
        done = leaky.run("-W", "error", "-p", "no:randomly", anew=True)
        assert (done.exit_code, done.outcomes) == (plain.exit_code, plain.outcomes) == (1, {"passed": 3}), (
            done.text
        )
        assert "PytestUnraisableExceptionWarning" in done.text  # it is not lost
        assert done.owners == ["test_one"]

    @pytest.mark.parametrize("end", ["", "leak()"], ids=["clean", "leaky"])
    def test_what_our_imports_make_the_interpreter_collect_is_not_the_next_tests(self, leaky, end):
        """The first socket of a run imports what counts it, which allocates enough for a collection."""
        leaky.write(
            test_a=f"""
            import gc, socket
            from leaking import leak
            def test_one():
                kept = socket.socket()
                c = type("C", (), {{}})(); c.me = c; c.kept = kept
                {end}
            def test_next(): pass
            """
        )
        filters = ("-W", "error::ResourceWarning", "-W", "error::pytest.PytestUnraisableExceptionWarning")
        plain = leaky.run(*filters, "-p", "no:randomly", "--sockets-leaks=off")
        done = leaky.run(*filters, "-p", "no:randomly", environment={"PYTHONDONTWRITEBYTECODE": "1"})
        assert done.outcomes == plain.outcomes == {"passed": 2}, done.text

    def test_a_test_that_catches_all_warnings_does_not_see_it(self, leaky):
        leaky.write(
            test_a="""
            from leaking import leak
            def test_one(recwarn):
                leak()
                assert not len(recwarn)
            """
        )
        assert leaky.run("-W", "error").outcomes == {"passed": 1}


class TestWithoutATeardown:
    def test_a_leak_at_import_fails_the_run_in_error_mode(self, leaky):
        leaky.write(
            test_a="""
            from leaking import leak
            leak()
            def test_one(): pass
            """
        )
        done = leaky.run("--sockets-leaks=error")
        assert (done.exit_code, done.outcomes) == (1, {"passed": 1})
        assert [leak["owner"]["kind"] for leak in done.leaks] == ["import"]
        assert "The run fails: no teardown could report a leak above" in done.text
        assert (
            "fix        open it in a fixture instead of at import time" in done.text
        )  # nobody else tells it

    def test_the_twin_what_an_error_tells_is_told_once(self, leaky):
        leaky.write(test_a="from leaking import leak\ndef test_one(): leak()")
        done = leaky.run("--sockets-leaks=error")
        assert (done.exit_code, done.text.count("  fix        ")) == (1, 1), done.text

    def test_a_conftest_that_leaks_at_import_is_named(self, leaky):
        (leaky.folder / "sub").mkdir()
        (leaky.folder / "sub" / "conftest.py").write_text("from leaking import leak\nleak()\n")
        (leaky.folder / "sub" / "test_a.py").write_text("def test_one(): pass\n")
        done = leaky.run()
        assert [leak["owner"]["name"] for leak in done.leaks] == ["sub/conftest.py"], done.text

    def test_and_only_warns_in_warn_mode(self, leaky):
        leaky.write(
            test_a="""
            from leaking import leak
            leak()
            def test_one(): pass
            """
        )
        done = leaky.run()
        assert (done.exit_code, [leak["owner"]["kind"] for leak in done.leaks]) == (0, ["import"])
        assert "The run fails" not in done.text

    def test_under_xdist_every_worker_imports_and_the_line_counts_once(self, leaky):
        leaky.write(
            test_a="""
            from leaking import leak
            leak()
            def test_one(): pass
            def test_two(): pass
            """
        )
        done = leaky.run("-n", "2", "--sockets-leaks=error", plugins=("xdist",))
        assert (done.exit_code, done.outcomes, len(done.leaks)) == (1, {"passed": 2}, 1)

    def test_what_a_hook_of_the_conftest_opens_is_the_sessions(self, leaky):
        leaky.write(
            conftest="""
            from leaking import leak
            def pytest_collection_finish(): leak()
            """,
            test_a="def test_one(): pass",
        )
        done = leaky.run("--sockets-leaks=error")
        assert (done.exit_code, [leak["owner"]["kind"] for leak in done.leaks]) == (1, ["session"])

    def test_a_failing_collection_keeps_its_own_exit_status(self, leaky):
        leaky.write(
            test_a="""
            from leaking import leak
            leak()
            raise RuntimeError("broken")
            """
        )
        done = leaky.run("--sockets-leaks=error")
        assert done.exit_code == 2
        assert "INTERNALERROR" not in done.text

    def test_no_tests_at_all_keeps_exit_5(self, suite):
        suite.write(test_a="")
        assert suite.run("--sockets-leaks=error").exit_code == 5


class TestParameters:
    SUITE = """
        import pytest
        from leaking import leak
        class Config:
            def __repr__(self): raise RuntimeError("no")
        @pytest.fixture(scope="module", params=[{values}])
        def server(request):
            leak()
            yield
        @pytest.fixture
        def plain(request): leak()
        def test_one(server): pass
        @pytest.mark.parametrize("plain", ["by the test"], indirect=True)
        def test_indirect(plain): pass
        """

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ("'tcp'", "'tcp'"), ("7", "7"), ("None", "None"), ("Config", "Config"), ("Config()", "number 1, a Config"),
            ("b'x' * 100", repr(b"x" * 60)),
        ],
    )  # fmt: skip
    def test_the_one_that_leaks_is_named(self, leaky, value, words):
        leaky.write(test_a=self.SUITE.format(values=value))
        done = leaky.run("--sockets-leaks=error", "-k", "test_one")
        assert f"\n  note       with parameter {words}\n" in done.text

    def test_that_of_an_indirect_one_is_named(self, leaky):
        leaky.write(test_a=self.SUITE.format(values="1"))
        done = leaky.run("--sockets-leaks=error", "-k", "test_indirect")
        assert "\n  note       with parameter 'by the test'\n" in done.text

    def test_those_of_one_line_are_listed_together(self, leaky):
        leaky.write(test_a=self.SUITE.format(values="1, 2, 3, 4, 5, 6"))
        done = leaky.run("--sockets-leaks=error", "-k", "test_one")
        told = done.text[done.text.index("The run fails") :]
        assert re.findall(r"\n  note       (.*)", told) == [f"with parameter {n}" for n in (1, 2, 3)]
        assert "\n             ... and 2 more\n" in told

    def test_the_twin_without_parameters_there_is_no_note(self, leaky):
        leaky.write(
            test_a="""
            import pytest
            from leaking import leak
            @pytest.fixture
            def server(): leak()
            @pytest.mark.parametrize("n", [1])
            def test_one(server, n): pass
            """
        )
        done = leaky.run("--sockets-leaks=error")
        assert len(done.leaks) == 1
        assert "  note  " not in done.text


class TestSwitches:
    CODE = """
        import pytest
        from leaking import leak
        def test_one(): leak()
        @pytest.mark.sockets(leaks="error")
        def test_two(): leak()
    """

    def test_off_with_a_mark_that_turns_it_on_judges_only_the_marked_test(self, leaky):
        leaky.write(test_a=self.CODE)
        done = leaky.run("--sockets-leaks=off")
        assert (done.outcomes, done.owners) == ({"passed": 2, "error": 1}, ["test_two"])

    def test_off_with_such_a_mark_works_in_workers(self, leaky):
        leaky.write(test_a=self.CODE)
        done = leaky.run("--sockets-leaks=off", "-n", "2", plugins=("xdist",))
        assert (done.outcomes, done.owners) == ({"passed": 2, "error": 1}, ["test_two"])

    def test_off_alone_judges_nothing(self, leaky):
        leaky.write(test_a="from leaking import leak\ndef test_one(): leak()")
        done = leaky.run("--sockets-leaks=off")
        assert (done.outcomes, done.leaks) == ({"passed": 1}, [])

    def test_switched_off_plugin_leaves_nothing_behind(self, leaky):
        leaky.write(test_a="from leaking import leak\ndef test_one(): leak()")
        done = leaky.run("-p", "no:pytest_sockets.plugin", report=False)
        assert done.outcomes == {"passed": 1}
        assert "socket" not in done.text.splitlines()[-1]
        assert "leaked" not in done.text

    def test_a_mark_stays_unknown_when_the_plugin_is_off(self, leaky):
        leaky.write(test_a=self.CODE)
        done = leaky.run("-p", "no:pytest_sockets.plugin", "--strict-markers", report=False)
        assert "'sockets' not found in `markers`" in done.text

    def test_without_a_terminal_the_report_and_the_exit_status_stand(self, leaky):
        leaky.write(test_a=self.CODE)
        done = leaky.run("-p", "no:terminal", "--sockets-leaks=error")
        assert (done.exit_code, len(done.leaks)) == (1, 2)

    def test_strict_config_and_markers_accept_our_keys(self, leaky):
        leaky.write(
            test_a=self.CODE,
            pytest__dot__ini="""
            [pytest]
            sockets_leaks = warn
            sockets_unclosed = off
            sockets_grace = 0.2
            sockets_ignore =
                remote=127.0.0.1:5432
                owner=test:nobody
            sockets_kinds = tcp,udp,unix
            sockets_scope = process
            sockets_ports = 20000-29999
            sockets_override_ports = false
            """,
        )
        done = leaky.run("--strict-config", "--strict-markers", "-W", "error")
        assert done.outcomes == {"passed": 2, "error": 1}, done.text


class TestNativeToml:
    pytestmark = pytest.mark.skipif(pytest.version_tuple < (9, 0), reason="native TOML came with pytest 9")
    TABLE = """
        [tool.pytest]
        strict = true
        sockets_leaks = "error"
        sockets_unclosed = "off"
        sockets_grace = {grace}
        sockets_ignore = ["remote=127.0.0.1:5432"]
        sockets_report = []
        sockets_kinds = "tcp,udp"
        sockets_override_ports = false
    """

    def test_typed_values_are_taken(self, leaky):
        leaky.write(
            test_a="from leaking import leak\ndef test_one(): leak()",
            pyproject__dot__toml=self.TABLE.format(grace=0.25),
        )
        assert leaky.run().outcomes == {"passed": 1, "error": 1}

    def test_a_value_of_the_wrong_type_is_a_usage_error_with_its_place(self, leaky):
        leaky.write(test_a="def test_one(): pass", pyproject__dot__toml=self.TABLE.format(grace='"0.25"'))
        done = leaky.run()
        assert done.exit_code == 4
        assert "pyproject.toml" in done.text
        assert "sockets_grace" in done.text
        assert "Traceback" not in done.text


class TestBrokenBaseline:
    @pytest.mark.parametrize("arguments", [(), ("-n1",), ("--sockets-update-baseline",)], ids=str)
    def test_it_ends_the_run_before_the_first_test(self, leaky, arguments):
        leaky.write(test_a="def test_one(): print('ran')", known__dot__txt="<<<<<<< HEAD\n")
        plugins = ("xdist",) if arguments == ("-n1",) else ()
        done = leaky.run("-s", "--sockets-baseline=known.txt", *arguments, plugins=plugins, report=False)
        assert done.exit_code == 4, done.text
        assert "ERROR: pytest-sockets: command line, --sockets-baseline: " in done.text
        assert "known.txt, line 1: this is a conflict marker" in done.text
        assert "ran" not in done.text
        assert "Traceback" not in done.text

    def test_the_twin_a_sound_one_does_not(self, leaky):
        leaky.write(
            test_a="def test_one(): print('ran')", known__dot__txt="# pytest-sockets baseline, version 1\n"
        )
        done = leaky.run("-s", "--sockets-baseline=known.txt", report=False)
        assert done.exit_code == 0, done.text


class TestSessionStart:
    """Plugins start their own there, conftest.py what is the suite's."""

    PLUGIN = """
        import atexit, socket, subprocess, sys
        KEPT = []
        SERVER = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print(1, flush=True); time.sleep(9)"
        def pytest_sessionstart():
            KEPT.append(socket.create_server(("127.0.0.1", 0)))
            KEPT.append(subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE))
            KEPT[1].stdout.readline()
        @atexit.register  # a hook of pytest's would be read
        def end():
            KEPT[0].close()
            KEPT[1].kill()
            KEPT[1].communicate()
    """

    @pytest.mark.parametrize(("folder", "owners"), [("site-packages", []), ("tools", ["session", "session"])])
    def test_what_is_started_is_the_sessions_unless_an_installed_plugin_does_it(
        self, suite, monkeypatch, folder, owners
    ):
        place = suite.folder / folder
        place.mkdir()
        (place / "starting.py").write_text(textwrap.dedent(self.PLUGIN))
        monkeypatch.setenv("PYTHONPATH", str(place), prepend=os.pathsep)
        suite.write(test_a="def test_one(): pass\ndef test_two(): pass")
        done = suite.run("--sockets-leaks=error", plugins=("starting",))
        assert done.owners == owners, done.text
        assert done.outcomes == {"passed": 2}


class TestWords:
    """What a person reads who was not there."""

    def test_a_set_up_that_raises_is_told_what_would_help(self, leaky):
        leaky.write(
            test_a="""
            import pytest
            from leaking import leak
            @pytest.fixture
            def db():
                leak()
                raise RuntimeError("no schema")
                yield
            def test_one(db): pass
            """
        )
        done = leaky.run("--sockets-leaks=error")
        assert done.outcomes == {"error": 1}
        above = done.text.partition("1 leaked socket of")[0]
        assert "1 socket left open by fixture 'db' (scope function)" in above
        assert "the set-up raised after this was opened" in above
        assert "in a `with` that reaches over the `yield`" in above

    def test_the_twin_without_an_exception_is_told_of_the_yield(self, leaky):
        leaky.write(
            test_a="""
            import pytest
            from leaking import leak
            @pytest.fixture
            def db():
                leak()
                yield
            def test_one(db): pass
            """
        )
        done = leaky.run("--sockets-leaks=error")
        assert "close it after the `yield` of fixture 'db'" in done.text
        assert "the set-up raised" not in done.text

    def test_what_a_fixtures_thread_opens_names_the_test_beside(self, leaky):
        leaky.write(
            test_a="""
            import pytest, queue, threading
            from leaking import leak
            @pytest.fixture(scope="module")
            def worker():
                tasks = queue.Queue()
                def work():
                    for task in iter(tasks.get, None):
                        task()
                        tasks.task_done()
                thread = threading.Thread(target=work)
                thread.start()
                yield tasks
                tasks.put(None)
                thread.join()
            def test_one(worker): pass
            def test_two(worker):
                worker.put(leak)
                worker.join()
            """
        )
        done = leaky.run("--sockets-leaks=error", "-p", "no:randomly")
        assert done.owners == ["worker"]
        assert "note       opened while test test_a.py::test_two ran" in done.text

    def test_a_librarys_thread_names_the_line_that_started_it(self, suite, monkeypatch):
        place = suite.folder / "site-packages"
        place.mkdir()
        (place / "library.py").write_text(
            "import socket\nKEPT = []\ndef serve(): KEPT.append(socket.create_server(('127.0.0.1', 0)))\n"
        )
        monkeypatch.setenv("PYTHONPATH", str(place), prepend=os.pathsep)
        suite.write(
            test_a="""
            import library, threading
            def test_one():
                thread = threading.Thread(target=library.serve)
                thread.start()
                thread.join()
            """
        )
        done = suite.run("--sockets-leaks=error")
        assert done.owners == ["test_one"]
        assert "note       opened in a thread that was started at test_a.py:5 in test_one" in done.text

    def test_of_a_shell_that_has_ended_the_server_is_told_apart(self, leaky):
        leaky.write(
            test_a="""
            import shlex, subprocess, sys
            SERVER = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print(1, flush=True); time.sleep(9)"
            def test_one():
                command = shlex.join([sys.executable, "-c", SERVER]) + "; true"
                with subprocess.Popen(command, shell=True, stdout=subprocess.PIPE) as shell:
                    shell.stdout.readline()
                    shell.kill()
            """
        )
        done = leaky.run("--sockets-leaks=error")
        assert done.owners == ["test_one"], done.text
        assert "note       the process that was started there has ended" in done.text
        assert "run the server without a shell" in done.text


class TestOutsideOfFixtures:
    """No hook of ours says that a test begins: whose code runs is found out when something is opened."""

    HOOK = """
        import pytest, threading
        from leaking import leak
        def in_a_thread():
            thread = threading.Thread(target=leak)
            thread.start()
            thread.join()
        {decorator}
        def {hook}: {does}
        """

    @pytest.mark.parametrize("does", ["leak()", "in_a_thread()"])
    @pytest.mark.parametrize(
        ("hook", "decorator", "phase"),
        [
            ("pytest_runtest_setup()", "", "setup"),
            ("pytest_runtest_setup()", "@pytest.hookimpl(tryfirst=True)", "setup"),
            ("pytest_runtest_setup()", "@pytest.hookimpl(trylast=True)", "setup"),
            ("pytest_runtest_call()", "@pytest.hookimpl(tryfirst=True)", "call"),
            ("pytest_runtest_teardown()", "@pytest.hookimpl(trylast=True)", "teardown"),
        ],
    )
    def test_what_a_hook_of_a_tests_phase_opens_is_that_tests(self, leaky, hook, decorator, phase, does):
        leaky.write(
            conftest=self.HOOK.format(hook=hook, decorator=decorator, does=does),
            test_a="""
            def test_one(): pass
            def test_two(): pass
            """,
        )
        done = leaky.run("-p", "no:randomly")
        assert done.owners == ["test_one", "test_two"], done.text
        assert does == "in_a_thread()" or [leak["owner"]["phase"] for leak in done.leaks] == [phase] * 2

    @pytest.mark.parametrize(
        "hook", ["pytest_runtest_logstart()", "pytest_runtest_logfinish()", "pytest_collection_finish()"]
    )
    def test_what_is_opened_between_tests_is_the_sessions(self, leaky, hook):
        leaky.write(
            conftest=self.HOOK.format(hook=hook, decorator="", does="leak()"),
            test_a="def test_one(): pass",
        )
        done = leaky.run()
        assert done.owners == ["session"], done.text

    def test_each_attempt_at_a_test_is_an_owner_of_its_own(self, leaky):
        leaky.write(
            conftest=self.HOOK.format(hook="pytest_runtest_setup()", decorator="", does="leak()"),
            test_a="""
            TRIES = []
            def test_flaky():
                TRIES.append(1)
                assert len(TRIES) == 2
            """,
        )
        done = leaky.run("--reruns=1", plugins=("pytest_rerunfailures",))
        assert done.owners == ["test_flaky", "test_flaky"], done.text
