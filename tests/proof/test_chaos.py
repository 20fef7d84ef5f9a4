"""Hostile suites: the plugin neither delays them nor takes what they ask for, and still finds their leaks."""

from __future__ import annotations

import sys
import time

import pytest

pytestmark = pytest.mark.proof

FOUR_LEAKS = """
    import socket
    KEPT = []
    def test_0(tcp_echo_server): pass
    def test_1(): KEPT.append(socket.create_server(("127.0.0.1", 0)))
    def test_2(): KEPT.append(socket.create_server(("127.0.0.1", 0)))
    def test_3(): KEPT.append(socket.create_server(("127.0.0.1", 0)))
    def test_4(): KEPT.append(socket.create_server(("127.0.0.1", 0)))
"""


@pytest.mark.parametrize("arguments", [(), ("-n", "1")], ids=["alone", "worker"])
def test_the_plugins_own_threads_cost_no_grace_time(suite, arguments):
    """The servers' hub and the thread that answers for a worker cannot close a test's socket."""
    if arguments:
        pytest.importorskip("xdist")
    suite.write(test_a=FOUR_LEAKS)
    plugins = ("xdist",) if arguments else ()
    done = suite.run("--sockets-grace=300", *arguments, plugins=plugins, timeout=60)
    assert done.outcomes == {"passed": 5}, done.text
    assert done.owners == ["test_1", "test_2", "test_3", "test_4"]


def test_the_twin_a_thread_of_the_suite_costs_it(suite):
    suite.write(
        conftest="""
            import threading
            stop = threading.Event()
            threading.Thread(target=stop.wait).start()
            def pytest_unconfigure(): stop.set()
        """,
        test_a=FOUR_LEAKS,
    )
    start = time.monotonic()
    done = suite.run("--sockets-grace=1.5")
    assert done.owners == ["test_1", "test_2", "test_3", "test_4"]
    assert time.monotonic() - start >= 1.5


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.skipif(sys.platform == "win32", reason="peak memory is read with the module resource")
def test_a_hundred_threads_that_open_and_close_sockets_do_not_stop_the_run(suite):
    suite.write(
        conftest="""
            import resource
            def pytest_unconfigure(): print("peak kB:", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        """,
        test_a="""
            import socket, threading, time
            import pytest
            N, PAUSE, stop = 100, 0.002, threading.Event()
            def churn():
                while not stop.is_set():
                    a, b = socket.socketpair()
                    a.close()
                    b.close()
                    socket.socket().close()
                    time.sleep(PAUSE)
            @pytest.fixture(scope="session", autouse=True)
            def background():
                threads = [threading.Thread(target=churn) for _ in range(N)]
                for thread in threads: thread.start()
                yield
                stop.set()
                for thread in threads: thread.join()
            @pytest.fixture
            def opened():
                with socket.socket() as sock: yield sock
            @pytest.mark.parametrize("n", range(20))
            def test_a(n, opened): time.sleep(0.02)
        """,
    )
    seconds = {}
    for sockets in (False, True):
        start = time.monotonic()
        done = suite.run(sockets=sockets, anew=True, timeout=50)
        seconds[sockets] = time.monotonic() - start
        assert done.outcomes == {"passed": 20}, done.text
    assert done.leaks == []
    peak = int(done.text.rpartition("peak kB: ")[2].split()[0])
    print(f"{seconds[True]:.1f} s and {peak} kB with the plugin, {seconds[False]:.1f} s without")
    assert seconds[True] < seconds[False] * 3 + 10  # it was more than 60 s, with 0.7 to 1.5 GB
    assert peak < 300_000


TAKES_IDS = """
    import sys
    for asked in (5, 4, 3):
        sys.monitoring.use_tool_id(asked, "the suite's")
"""
LEAKY = """
    import socket, sys
    def test_leak():
        global kept
        kept = socket.create_server(("127.0.0.1", 0))
        assert [sys.monitoring.get_tool(number) for number in (3, 4, 5)] == ["the suite's"] * 3
"""
needs_monitoring = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="sys.monitoring came with Python 3.12"
)


@needs_monitoring
@pytest.mark.parametrize("place", ["conftest", "test module", "pytest_configure", "plugin module", "fixture"])
@pytest.mark.parametrize("arguments", [(), ("-n", "1")], ids=["alone", "worker"])
def test_a_suite_gets_every_monitoring_id_and_its_leak_is_found(suite, place, arguments):
    in_function = TAKES_IDS.replace("\n    ", "\n        ")
    files = {
        "conftest": {"conftest": TAKES_IDS, "test_a": LEAKY},
        "test module": {"test_a": TAKES_IDS + LEAKY},
        "pytest_configure": {"conftest": "    def pytest_configure(config):" + in_function, "test_a": LEAKY},
        "plugin module": {"own_plugin": TAKES_IDS, "test_a": LEAKY},
        "fixture": {
            "conftest": '    import pytest\n    @pytest.fixture(scope="session", autouse=True)\n    def ids():'
            + in_function,
            "test_a": LEAKY,
        },
    }[place]
    suite.write(**files)
    if arguments:
        pytest.importorskip("xdist")
    plugins = ("xdist",) * bool(arguments) + ("own_plugin",) * ("own_plugin" in files)
    done = suite.run("--sockets-leaks=error", *arguments, plugins=plugins, anew=True)
    assert done.outcomes == {"passed": 1, "error": 1}, done.text
    assert done.owners == ["test_leak"]


@needs_monitoring
def test_the_twin_an_id_asked_for_twice_is_refused(suite):
    suite.write(conftest=TAKES_IDS, test_a=TAKES_IDS + LEAKY)
    done = suite.run(anew=True)
    assert "tool 5 is already in use" in done.text


@needs_monitoring
def test_a_leak_is_found_beside_coverage_by_sys_monitoring(suite):
    """coverage starts before pytest and has its own id; its data holds the lines that ran."""
    pytest.importorskip("coverage")
    suite.write(
        start="""
            import sys
            import coverage
            measured = coverage.Coverage(data_file=None, include=["*/test_a.py"])
            measured.start()
            import pytest
            status = pytest.main(sys.argv[1:])
            print("coverage:", sys.monitoring.get_tool(sys.monitoring.COVERAGE_ID))
            measured.stop()
            print("missing:", measured.analysis2("test_a.py")[3])
            sys.exit(status)
        """,
        test_a="""
            import socket
            def test_leak():
                global kept
                kept = socket.create_server(("127.0.0.1", 0))
            def test_other():
                if kept is None:
                    raise AssertionError
        """,
    )
    command = suite.command
    suite.command = lambda *args, **kwargs: [sys.executable, "start.py", *command(*args, **kwargs)[3:]]
    done = suite.run("--sockets-leaks=error", anew=True, environment={"COVERAGE_CORE": "sysmon"})
    assert done.outcomes == {"passed": 2, "error": 1}, done.text
    assert done.owners == ["test_leak"]
    assert "coverage: coverage.py" in done.text
    assert "missing: [8]" in done.text, done.text
