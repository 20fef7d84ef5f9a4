"""A run without leaks stays cheap. benchmarks/overhead.py measures the figures."""

from __future__ import annotations

import importlib.util
import types

import pytest

NEEDED_BY_LEAKS_ONLY = (
    "psutil", "portpicker", "jinja2", "pytest_sockets.model", "pytest_sockets.leaks.judgement",
    "pytest_sockets.leaks.findings", "pytest_sockets.leaks.referrers", "pytest_sockets.leaks.detached_processes",
    "pytest_sockets.plugin.leak_evaluation", "pytest_sockets.plugin.policies", "pytest_sockets.plugin.live_objects",
    "pytest_sockets.plugin.report_attachments", "pytest_sockets.plugin.still_listening", "pytest_sockets.reports.run",
    "pytest_sockets.reports.text",
)  # fmt: skip


@pytest.mark.parametrize("name", NEEDED_BY_LEAKS_ONLY)
def test_each_module_of_the_list_exists(name):
    """A renamed module would never be imported, and the tests below would pass for that reason."""
    assert importlib.util.find_spec(name) is not None


SHOW = """
    import sys
    def pytest_unconfigure():
        print("imported:", *sorted(name for name in sys.modules if name in {names!r}))
"""


@pytest.mark.parametrize("arguments", [(), ("--collect-only",), ("--sockets-leaks=error",)], ids=str)
def test_a_run_that_opens_nothing_does_not_import_the_judgement(suite, arguments):
    suite.write(test_a="def test_one(): pass", conftest=SHOW.format(names=NEEDED_BY_LEAKS_ONLY))
    done = suite.run("-s", *arguments, report=False, anew=True)
    assert "imported:\n" in done.text, done.text


def test_a_closed_socket_imports_only_the_modules_that_count_it(suite):
    suite.write(
        test_a="import socket\ndef test_one(): socket.socket().close()",
        conftest=SHOW.format(names=NEEDED_BY_LEAKS_ONLY),
    )
    done = suite.run("-s", report=False, anew=True)
    assert "imported: pytest_sockets.reports.run\n" in done.text, done.text


def test_the_twin_a_leak_imports_the_judgement(suite):
    suite.write(
        test_a="import socket\nkept = []\ndef test_one(): kept.append(socket.create_server(('127.0.0.1', 0)))",
        conftest=SHOW.format(names=NEEDED_BY_LEAKS_ONLY),
    )
    done = suite.run("-s", report=False)
    assert "pytest_sockets.leaks.judgement" in done.text


CARRIES = """
    import pytest
    def pytest_configure(config): pytest.config = config
    @pytest.fixture(scope="session", autouse=True)
    def noted():
        yield
        print("carries reports:", pytest.config.pluginmanager.has_plugin("sockets-report-attachments"))
"""
OPENS_ONCE = """
    import socket
    kept = []
    def test_first(): socket.socket().close()
    {}
"""
EMPTY = "\n    ".join(f"def test_{number}(): pass" for number in range(120))


def test_long_after_the_last_socket_reports_carry_nothing_any_more(suite):
    suite.write(test_a=OPENS_ONCE.format(EMPTY), conftest=CARRIES)
    done = suite.run("-s", report=False)
    assert "carries reports: False" in done.text
    assert "sockets: 1 socket opened, 0 leaked" in done.text


def test_the_twin_a_report_that_counts_every_test_needs_them_all(suite):
    suite.write(test_a=OPENS_ONCE.format(EMPTY), conftest=CARRIES)
    done = suite.run("-s")
    assert "carries reports: True" in done.text
    assert done.report["tests"] == {"seen": 121, "opened_sockets": 1, "leaking": 0}


def test_a_leak_long_after_the_first_socket_is_carried(suite):
    later = "\n    def test_last(): kept.append(socket.create_server(('127.0.0.1', 0)))"
    suite.write(test_a=OPENS_ONCE.format(EMPTY + later), conftest=CARRIES)
    done = suite.run("-s", "--sockets-leaks=error", report=False)
    assert (done.exit_code, done.outcomes) == (1, {"passed": 122, "error": 1})
    assert "sockets: 2 sockets opened, 1 leaked" in done.text


MODULES = ("", ".failure_sections", ".table_fixture", ".port_fixtures", ".server_fixtures")


def _hooks_and_fixtures(names):
    fixture = type(pytest.fixture(lambda: None))
    return {name for name, value in names.items() if name.startswith("pytest_") or type(value) is fixture}


@pytest.mark.parametrize("name", MODULES)
def test_dir_of_a_module_lists_all_its_hooks_and_fixtures(name):
    module = importlib.import_module("pytest_sockets.plugin" + name)
    assert set(dir(module)) == _hooks_and_fixtures(vars(module)) != set()


def test_the_twin_a_fixture_missing_in_dir_is_noticed():
    module = types.ModuleType("fixtures")
    module.there, module.forgotten = pytest.fixture(lambda: 1), pytest.fixture(lambda: 2)
    module.__dir__ = lambda: ["there"]
    assert _hooks_and_fixtures(vars(module)) - set(dir(module)) == {"forgotten"}


def test_dir_of_a_hook_object_lists_only_its_hooks():
    from pytest_sockets.plugin.registration import MarkCheck

    assert dir(MarkCheck(None)) == ["pytest_collection_modifyitems"]


REWRITTEN = """
    import sys
    def pytest_unconfigure():
        for name in ("settings", "leak_hooks", "port_fixtures"):
            print(name, type(sys.modules["pytest_sockets.plugin." + name].__loader__).__name__)
        print("finders:", [finder for finder in sys.meta_path if "pytest_sockets" in str(finder)])
"""


def test_the_plugins_modules_are_not_rewritten_and_no_finder_stays(suite):
    suite.write(test_a="def test_one(): pass", conftest=REWRITTEN)
    done = suite.run("-s", report=False)
    assert done.text.count("SourceFileLoader") == 3, done.text
    assert "finders: []" in done.text


def test_the_twin_pytest_would_rewrite_them(suite):
    rewriting = (
        "import contextlib, pytest_sockets.without_rewriting as module\n"
        "module.without_rewriting = contextlib.nullcontext"
    )
    suite.write(test_a="def test_one(): pass", conftest=REWRITTEN, as_ever=rewriting)
    done = suite.run("-s", "-p", "pytest_sockets.plugin", plugins=("as_ever",), sockets=False)
    assert done.text.count("AssertionRewritingHook") == 3, done.text


COUNTED = """
    import pytest
    from pytest_sockets.leaks.registry import Registry
    looks = []
    checkpoint = Registry.checkpoint
    def counted(self):
        looks.append(1)
        checkpoint(self)
    Registry.checkpoint = counted
    @pytest.fixture(scope="session", autouse=True)
    def held():
        import socket, threading
        with socket.create_server(("127.0.0.1", 0)):
            stop = threading.Event()
            thread = threading.Thread(target=stop.wait)
            thread.start()
            yield
            stop.set()
            thread.join()
"""


def test_beside_what_a_fixture_holds_a_test_that_does_nothing_is_not_looked_at(suite):
    """The first test set the fixture up; the last one tears it down."""
    suite.write(
        conftest=COUNTED,
        test_a="""
        from conftest import looks
        def test_first(): pass
        def test_second(): looks.clear()
        def test_third(): assert len(looks) == 0
        def test_last(): assert len(looks) == 0
        """,
    )
    done = suite.run("-p", "no:randomly")
    assert done.outcomes == {"passed": 4}, done.text


@pytest.mark.parametrize(
    "did",
    ["subprocess.run(['true'])", "made.append(os.dup(made[0].fileno()))"],
    ids=["a child that has ended", "a duplicate"],
)
def test_nor_is_it_for_what_a_session_fixture_once_did(suite, did):
    """A start is looked for some time after it, here none: its process may be just before its fork."""
    suite.write(
        conftest=COUNTED
        + f"""
    @pytest.fixture(scope="session", autouse=True)
    def busy(held):
        import os, socket, subprocess
        from pytest_sockets.leaks import children
        children._LONGEST_START = 0.0
        made = [socket.create_server(("127.0.0.1", 0))]
        {did}
        yield
        made[0].close()
        for fd in made[1:]: os.close(fd)
""",
        test_a="""
        from conftest import looks
        def test_first(): pass
        def test_second(): looks.clear()
        def test_third(): assert len(looks) == 0
        def test_last(): assert len(looks) == 0
        """,
    )
    done = suite.run("-p", "no:randomly")
    assert (done.outcomes, done.leaks) == ({"passed": 4}, []), done.text


@pytest.mark.parametrize(
    "does",
    [
        "socket.socket().close()",
        "kept.append(open('/dev/null'))",
        "kept.append(threading.Thread(target=time.sleep, args=(1,))); kept[-1].start()",
        "kept.append(subprocess.Popen(['true']))",
    ],
)
def test_one_that_does_something_is_looked_at(suite, does):
    suite.write(
        conftest=COUNTED,
        test_a=f"""
        import socket, subprocess, threading, time
        from conftest import looks
        kept = []
        def test_first(): pass
        def test_second():
            looks.clear()
            {does}
        def test_third(): assert looks
        """,
    )
    done = suite.run("-p", "no:randomly", "-W", "ignore")
    assert done.outcomes == {"passed": 3}, done.text


@pytest.mark.parametrize("replaced", [False, True])
def test_a_test_that_closes_every_descriptor_does_not_blind_the_next(suite, replaced):
    """Also the one by which they are counted, whose number may then be another file's."""
    again = "fds = [os.open('/dev/null', os.O_RDONLY) for _ in range(60)]" if replaced else "fds = []"
    suite.write(
        test_a=f"""
        import ctypes, os, socket
        def test_closes():
            os.closerange(3, 100)
            {again}
            for fd in fds[20:]: os.close(fd)
        def test_leaks():
            libc = ctypes.CDLL(None)
            assert libc.listen(libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0), 1) == 0
        """
    )
    done = suite.run("-p", "no:randomly", "-p", "no:faulthandler", "-s")
    assert done.outcomes == {"passed": 2}, done.text
    assert [leak["owner"]["name"] for leak in done.leaks] == ["test_a.py::test_leaks"], done.text


@pytest.mark.parametrize(("does", "judged"), [("pass", []), ("open_one()", ["test_one", "test_two"])])
def test_a_fixture_that_opens_nothing_makes_its_test_no_suspect(suite, does, judged):
    suite.write(
        conftest=f"""
        import pytest, socket
        from pytest_sockets.plugin.leak_hooks import LeakDetection
        judge = LeakDetection._end_test
        def noted(self, item, call):
            print("judged:", item.name)
            return judge(self, item, call)
        LeakDetection._end_test = noted
        def open_one(): socket.socket().close()
        @pytest.fixture
        def fixture():
            {does}
            yield
        """,
        test_a="""
        def test_first(): pass  # whatever the run began with is looked at here
        def test_one(fixture): pass
        def test_two(fixture): pass
        """,
    )
    done = suite.run("-s", "-p", "no:randomly", report=False)
    lines = [line.partition("judged: ")[2] for line in done.text.splitlines() if "judged: " in line]
    assert [name for name in lines if name != "test_first"] == judged, done.text
