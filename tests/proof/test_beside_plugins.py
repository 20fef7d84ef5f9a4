"""A leak and its line survive the plugins that retry, repeat, reorder, time or fork tests."""

from __future__ import annotations

import importlib.util
import os

import pytest

pytestmark = pytest.mark.proof

SUITE = """
    import socket
    KEPT = []
    def test_clean():
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
            pass
    def test_leak():
        KEPT.append(socket.create_server(("127.0.0.1", 0)))
    def test_after():
        with socket.socket():
            pass
"""
FLAKY = """
    import os
    def test_flaky():
        os.mkdir("tried-" + os.environ.get("PYTEST_XDIST_WORKER", "") + str(len(os.listdir("."))))
        assert len([name for name in os.listdir(".") if name.startswith("tried")]) == 2
"""
PLUGINS = {
    "retry": ("pytest_retry", ("--retries=1",)),
    "rerunfailures": ("pytest_rerunfailures", ("--reruns=1",)),
    "timeout by signal": ("pytest_timeout", ("--timeout=50", "--timeout-method=signal")),
    "timeout by thread": ("pytest_timeout", ("--timeout=50", "--timeout-method=thread")),
    "randomly": ("pytest_randomly", ("--randomly-seed=3",)),
    "repeat": ("pytest_repeat", ("--count=2",)),
    "xdist": ("xdist", ()),
}


@pytest.mark.parametrize("mode", ["warn", "error"])
@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
@pytest.mark.parametrize("name", PLUGINS)
def test_the_leak_is_found_and_only_that(suite, name, workers, mode):
    module, options = PLUGINS[name]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    if workers and importlib.util.find_spec("xdist") is None:
        pytest.skip("xdist is not installed")
    suite.write(test_a=SUITE, test_b=FLAKY if name in ("retry", "rerunfailures") else "")
    plugin = "pytest-retry" if name == "retry" else module
    plugins = (plugin,) + ("xdist",) * bool(workers and module != "xdist")
    done = suite.run(f"--sockets-leaks={mode}", *options, *workers, plugins=plugins, anew=True)
    # rerunfailures runs a test again whose teardown fails: both leaks are told, and the last one counts.
    again = 2 if name == "repeat" or (name, mode) == ("rerunfailures", "error") else 1
    assert len(done.leaks) == again, done.text
    assert {leak["nodeid"].partition("[")[0] for leak in done.leaks} == {"test_a.py::test_leak"}
    assert {*done.places} == {"test_a.py:8"}
    passed = {"repeat": 6, "retry": 4, "rerunfailures": 3 + again}.get(name, 3)
    errors = 2 if name == "repeat" else 1
    wanted = {"passed": passed} | ({"error": errors} if mode == "error" else {})
    counted = {key: count for key, count in done.outcomes.items() if key in ("passed", "failed", "error")}
    assert counted == wanted, done.text
    assert done.exit_code == (1 if mode == "error" else 0)


# pytest 9.2 put an object into each report that pytest-forked 1.7.5 cannot marshal: with it alone, every test fails.
SENDABLE = """
    import pytest_forked
    serialize = pytest_forked.serialize_report
    def sendable(report):
        content = serialize(report)
        content.pop("_id", None)
        return content | {"nodeid": report.nodeid}
    pytest_forked.serialize_report = sendable
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_a_leak_of_a_forked_test_is_its_error(suite, workers):
    """The child that ran the test has ended: the error is what remains of the leak."""
    pytest.importorskip("pytest_forked")
    if workers:
        pytest.importorskip("xdist")
    suite.write(test_a=SUITE, conftest=SENDABLE)
    plugins = ("pytest_forked",) + ("xdist",) * bool(workers)
    done = suite.run("--sockets-leaks=error", "--forked", *workers, plugins=plugins, anew=True)
    assert done.outcomes == {"passed": 3, "error": 1}, done.text
    assert "1 socket left open by test test_a.py::test_leak" in done.text
    assert "test_a.py:8 in test_leak" in done.text
    assert done.exit_code == 1
