"""Beside xdist, reruns, nested runs, doctest, unittest and the consumers of reports: each leak once, at the right place."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest


def workers(done):
    return [leak["worker"] for leak in done.leaks]


class TestXdist:
    def test_each_leak_is_told_once_with_its_worker(self, leaky):
        leaky.write(
            test_a="""
            import pytest
            from leaking import leak
            @pytest.mark.parametrize("n", range(6))
            def test_one(n):
                if n % 2: leak()
            """
        )
        done = leaky.run("-n", "2", "--sockets-leaks=error", plugins=("xdist",))
        assert done.outcomes == {"passed": 6, "error": 3}
        assert done.owners == ["test_one[1]", "test_one[3]", "test_one[5]"]
        assert set(workers(done)) <= {"gw0", "gw1"}
        assert "[gw" in done.section()

    def test_without_xdist_there_is_no_worker(self, leaky):
        leaky.write(test_a="from leaking import leak\ndef test_one(): leak()")
        assert workers(leaky.run()) == [None]

    def test_a_worker_that_dies_takes_only_its_last_test_with_it(self, leaky):
        leaky.write(
            test_a="""
            import os, pytest
            from leaking import leak
            def test_a1(): leak()
            def test_a2(): leak()
            def test_a3():
                leak()
                os._exit(3)
            def test_a4(): leak()
            """
        )
        done = leaky.run("-n", "1", "--sockets-leaks=error", plugins=("xdist",))
        assert done.outcomes == {"passed": 3, "failed": 1, "error": 3}, done.text
        assert done.owners == ["test_a1", "test_a2", "test_a4"]
        assert workers(done) == ["gw0", "gw0", "gw1"]
        assert "INTERNALERROR" not in done.text

    def test_a_session_fixture_of_each_worker_is_told_for_each(self, leaky):
        leaky.write(
            test_a="""
            import pytest, time
            from leaking import leak
            @pytest.fixture(scope="session")
            def pool():
                leak()
                yield
            @pytest.mark.parametrize("n", range(4))
            def test_one(pool, n): time.sleep(0.3)
            """
        )
        done = leaky.run("-n", "2", plugins=("xdist",))
        assert (done.owners, sorted(workers(done))) == (["pool", "pool"], ["gw0", "gw1"])

    def test_loadgroup_names_stay_those_of_the_tests(self, leaky):
        leaky.write(
            test_a="""
            import pytest
            from leaking import leak
            @pytest.mark.xdist_group("g")
            def test_one(): leak()
            """
        )
        done = leaky.run("-n", "2", "--dist=loadgroup", "--sockets-leaks=error", plugins=("xdist",))
        assert done.outcomes == {"passed": 1, "error": 1}
        assert len(done.leaks) == 1

    def test_stopping_at_the_first_failure_works_in_workers(self, leaky):
        leaky.write(
            test_a="""
            import pytest
            from leaking import leak
            @pytest.mark.parametrize("n", range(30))
            def test_one(n): leak()
            """
        )
        done = leaky.run("-n", "2", "-x", "--sockets-leaks=error", plugins=("xdist",))
        assert done.exit_code in (1, 2)
        assert 1 <= len(done.leaks) < 30


class TestReruns:
    FLAKY = """
        import pytest
        from leaking import leak
        TRIES = []
        @pytest.mark.flaky(reruns=3)
        def test_one():
            TRIES.append(1)
            if len(TRIES) < 3:
                leak()
                assert False
        def test_two(): pass
    """

    @pytest.mark.parametrize("arguments", [(), ("-n", "2", "-p", "xdist")], ids=["plain", "xdist"])
    def test_each_attempt_that_leaked_is_told_and_the_last_one_passes(self, leaky, arguments):
        leaky.write(test_a=self.FLAKY)
        done = leaky.run(*arguments, "--sockets-leaks=error", plugins=("pytest_rerunfailures",))
        assert done.outcomes == {"passed": 2, "rerun": 2}, done.text
        assert done.owners == ["test_one", "test_one"]
        assert (
            done.exit_code,
            "The run passes: the attempts that left these sockets had failed on their own" in done.text,
        ) == (
            0,
            True,
        )

    def test_the_twin_without_another_attempt_the_run_fails(self, leaky):
        leaky.write(test_a=self.FLAKY)
        done = leaky.run(
            "--sockets-leaks=error", "-p", "no:rerunfailures", "-W", "ignore::pytest.PytestUnknownMarkWarning"
        )
        assert (done.exit_code, "The run passes" in done.text) == (1, False), done.text

    def test_an_attempt_that_only_leaks_is_run_again_like_any_error(self, leaky):
        leaky.write(
            test_a="""
            from leaking import leak
            TRIES = []
            def test_one():
                TRIES.append(1)
                if len(TRIES) == 1: leak()
            """
        )
        done = leaky.run("--reruns=2", "--sockets-leaks=error", plugins=("pytest_rerunfailures",))
        assert done.owners == ["test_one"]
        assert (done.outcomes, done.exit_code) == ({"passed": 2, "rerun": 1}, 0), done.text

    def test_a_socket_that_only_a_failed_attempts_traceback_refers_to_is_reported_once(self, suite):
        suite.write(
            test_a="""
            import socket
            TRIES = []
            def test_one():
                server = socket.create_server(("127.0.0.1", 0))
                TRIES.append(1)
                assert len(TRIES) > 1
                server.close()
            def test_two(): pass
            """
        )
        done = suite.run("--reruns=2", "--sockets-leaks=error", plugins=("pytest_rerunfailures",))
        assert done.outcomes == {"passed": 2, "rerun": 1}
        assert done.owners == ["test_one"]


class TestNestedRuns:
    def test_an_inner_run_judges_its_own_tests_and_the_outer_one_goes_on(self, leaky):
        leaky.write(
            test_a="""
            import pytest
            from leaking import leak
            INNER = "import socket\\nKEPT = []\\ndef test_in(): KEPT.append(socket.create_server(('127.0.0.1', 0)))"
            def test_outer(pytester):
                pytester.makepyfile(INNER)
                result = pytester.runpytest_inprocess("-p", "pytest_sockets.plugin", "--sockets-leaks=error")
                result.assert_outcomes(passed=1, errors=1)
                result.stdout.fnmatch_lines(["*1 socket left open by test *::test_in*"])
            def test_after(): leak()
            """
        )
        done = leaky.run(plugins=("pytester",))
        assert done.outcomes == {"passed": 2}, done.text
        # What the inner run's leftovers still hold open is open in the outer run's test, too.
        assert "test_after" in done.owners
        assert set(done.owners) <= {"test_after", "test_outer"}

    def test_a_clean_inner_run_is_clean_outside_too(self, suite):
        suite.write(
            test_a="""
            INNER = "import socket\\ndef test_in(): socket.create_server(('127.0.0.1', 0)).close()"
            def test_outer(pytester):
                pytester.makepyfile(INNER)
                pytester.runpytest_inprocess("-p", "pytest_sockets.plugin").assert_outcomes(passed=1)
            """
        )
        done = suite.run("--sockets-leaks=error", plugins=("pytester",))
        assert (done.outcomes, done.leaks) == ({"passed": 1}, [])

    def test_an_inner_run_with_unclosed_leaves_the_outer_watch_in_place(self, suite):
        suite.write(
            test_a="""
            import socket
            INNER = "def test_in(): pass"
            def test_outer(pytester):
                pytester.makepyfile(INNER)
                pytester.runpytest_inprocess("-p", "pytest_sockets.plugin", "--sockets-unclosed=warn")
            def test_after():
                socket.create_server(("127.0.0.1", 0))
            """
        )
        done = suite.run("--sockets-unclosed=warn", plugins=("pytester",))
        assert [(leak["kind"], leak["opened_at"]["line"]) for leak in done.leaks] == [("unclosed", 8)]


class TestOtherItems:
    def test_a_doctest_is_an_owner(self, leaky):
        leaky.write(test_doc__dot__txt=">>> from leaking import leak\n>>> leak()\n")
        done = leaky.run("--doctest-glob=*.txt", "--sockets-leaks=error", "--import-mode=prepend", environment={
            "PYTHONPATH": f"{leaky.folder}:{leaky.environment()['PYTHONPATH']}"})  # fmt: skip
        assert done.outcomes == {"passed": 1, "error": 1}, done.text
        assert [leak["owner"]["kind"] for leak in done.leaks] == ["test"]

    def test_a_clean_doctest_passes(self, suite):
        suite.write(
            test_doc__dot__txt=">>> import socket\n>>> socket.create_server(('127.0.0.1', 0)).close()\n"
        )
        done = suite.run("--doctest-glob=*.txt", "--sockets-leaks=error")
        assert (done.outcomes, done.leaks) == ({"passed": 1}, [])

    def test_unittest_classes_own_what_their_set_up_opens(self, leaky):
        leaky.write(
            test_a="""
            import unittest
            from leaking import leak
            class TestIt(unittest.TestCase):
                @classmethod
                def setUpClass(cls): leak()
                def test_one(self): leak()
                def test_two(self): pass
            """
        )
        done = leaky.run("--sockets-leaks=error")
        assert done.outcomes == {"passed": 2, "error": 2}
        assert sorted(leak["owner"]["kind"] for leak in done.leaks) == ["class", "test"]

    def test_subtests_belong_to_their_test(self, leaky):
        leaky.write(
            test_a="""
            import unittest
            from leaking import leak
            class TestIt(unittest.TestCase):
                def test_one(self):
                    for n in range(2):
                        with self.subTest(n=n): leak()
            """
        )
        done = leaky.run()
        assert done.exit_code == 0
        assert done.owners == ["test_one", "test_one"]

    def test_an_item_of_another_plugin_is_an_owner(self, leaky):
        leaky.write(
            conftest="""
            import pytest
            from leaking import leak
            class Item(pytest.Item):
                def runtest(self): leak()
            class File(pytest.File):
                def collect(self): yield Item.from_parent(self, name="it")
            def pytest_collect_file(file_path, parent):
                if file_path.suffix == ".yaml": return File.from_parent(parent, path=file_path)
            """,
            a__dot__yaml="x: 1",
        )
        done = leaky.run("--sockets-leaks=error")
        assert (done.outcomes, done.owners) == ({"passed": 1, "error": 1}, ["it"])


class TestConsumers:
    def test_junit_shows_the_leak_as_the_teardowns_error(self, leaky):
        leaky.write(test_a="from leaking import leak\ndef test_one(): leak()")
        leaky.run("--sockets-leaks=error", "--junitxml=j.xml")
        error = ET.parse(leaky.folder / "j.xml").find(".//error")
        assert error is not None
        assert "1 socket left open by test test_a.py::test_one" in (error.get("message") or "")

    def test_junit_of_a_clean_suite_has_no_error(self, suite):
        suite.write(test_a="def test_one(): pass")
        suite.run("--sockets-leaks=error", "--junitxml=j.xml")
        assert ET.parse(suite.folder / "j.xml").find(".//error") is None

    @pytest.mark.parametrize("arguments", [(), ("-n", "2", "-p", "xdist")], ids=["plain", "xdist"])
    def test_a_consumer_can_serialize_every_report(self, leaky, arguments):
        leaky.write(
            conftest="""
            import json, pathlib, pytest
            SEEN = []
            class Consumer:
                def __init__(self, config): self.config = config
                @pytest.hookimpl(trylast=True)
                def pytest_runtest_logreport(self, report):
                    report.__dict__.pop("node", None)
                    SEEN.append(self.config.hook.pytest_report_to_serializable(config=self.config, report=report))
            def pytest_configure(config): config.pluginmanager.register(Consumer(config))
            def pytest_sessionfinish(session):
                if not hasattr(session.config, "workerinput"):
                    pathlib.Path("seen.json").write_text(json.dumps(SEEN))
            """,
            test_a="from leaking import leak\ndef test_one(): leak()",
        )
        done = leaky.run(*arguments)
        assert done.exit_code == 0, done.text
        seen = json.loads((leaky.folder / "seen.json").read_text())
        (data,) = [report["sockets"] for report in seen if "sockets" in report]
        leaks = json.loads(data["rest"])["leaks"]
        assert leaks[0]["finding"]["opened_at"]["file"] == "leaking.py"

    def test_short_summary_names_the_leak_in_one_line(self, leaky):
        leaky.write(test_a="from leaking import leak\ndef test_one(): leak()")
        done = leaky.run("--sockets-leaks=error", "-ra")
        (line,) = [line for line in done.text.splitlines() if line.startswith("ERROR test_a.py")]
        assert "SocketLeakError: 1 socket left open by test test_a.py::test_one" in line

    def test_quiet_runs_say_less_and_count_the_same(self, leaky):
        leaky.write(test_a="from leaking import leak\ndef test_one(): leak()")
        assert leaky.run("-q").outcomes == {"passed": 1}


class TestTogether:
    PLUGINS = ("asyncio", "anyio", "trio", "xdist", "pytest_rerunfailures", "randomly", "timeout", "socket")

    @pytest.mark.parametrize(
        "arguments", [(), ("-n", "2"), ("--disable-socket", "--allow-unix-socket")], ids=" ".join
    )
    def test_all_neighbours_at_once(self, suite, arguments):
        suite.write(
            test_a="""
            import pytest
            @pytest.mark.asyncio
            async def test_loop(): pass
            @pytest.mark.anyio
            async def test_any(): pass
            @pytest.mark.parametrize("n", range(5))
            def test_one(n): pass
            """,
            pytest__dot__ini="[pytest]\nasyncio_default_fixture_loop_scope = function\n",
        )
        everywhere = (*arguments, "--timeout=30", "--reruns=1")
        ours = ("--sockets-leaks=error", "--sockets-unclosed=error")
        done = suite.run(*everywhere, *ours, plugins=self.PLUGINS)
        without = suite.run(*everywhere, plugins=self.PLUGINS, sockets=False)
        assert (
            (done.exit_code, done.outcomes) == (without.exit_code, without.outcomes) == (0, {"passed": 8})
        ), done.text
        assert done.leaks == []
