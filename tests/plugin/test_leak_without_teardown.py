"""Leaks that no teardown can report, and openings outside fixtures, have the right owner and exit status."""

from __future__ import annotations

import os
import textwrap

import pytest


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
        assert "The run fails: no teardown could report a leak listed above" in done.text
        assert "fix        open it in a fixture instead of at import time" in done.text  # shown only here

    def test_the_twin_an_error_in_a_teardown_is_shown_once(self, leaky):
        leaky.write(test_a="from leaking import leak\ndef test_one(): leak()")
        done = leaky.run("--sockets-leaks=error")
        assert (done.exit_code, done.text.count("  fix        ")) == (1, 1), done.text

    def test_a_conftest_that_leaks_at_import_is_named(self, leaky):
        (leaky.folder / "sub").mkdir()
        (leaky.folder / "sub" / "conftest.py").write_text("from leaking import leak\nleak()\n")
        (leaky.folder / "sub" / "test_a.py").write_text("def test_one(): pass\n")
        done = leaky.run()
        assert [leak["owner"]["name"] for leak in done.leaks] == ["sub/conftest.py"], done.text

    def test_a_leak_at_import_only_warns_in_warn_mode(self, leaky):
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

    def test_a_socket_that_a_conftest_hook_opens_belongs_to_the_session(self, leaky):
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


class TestSessionStart:
    """Installed plugins start their own sockets there; those of a conftest.py belong to the suite."""

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
    def test_a_server_belongs_to_the_session_unless_an_installed_plugin_starts_it(
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


class TestOutsideOfFixtures:
    """No hook of the plugin marks the start of a test: the owner is determined when a socket is opened."""

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
    def test_a_socket_that_a_hook_opens_in_a_phase_of_a_test_belongs_to_that_test(
        self, leaky, hook, decorator, phase, does
    ):
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
    def test_a_socket_opened_between_tests_belongs_to_the_session(self, leaky, hook):
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
