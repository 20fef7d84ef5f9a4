"""A child process belongs to what started it, however many tests run before that ends."""

from __future__ import annotations

import pytest

SERVER = """
    import subprocess, sys
    import pytest
    CODE = "import socket; s = socket.create_server(('127.0.0.1', 0)); print('up', flush=True); input()"
    def start():
        child = subprocess.Popen([sys.executable, "-c", CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert child.stdout.readline()
        return child
    def stop(child):
        with child:
            child.kill()
"""
TESTS = """
    @pytest.mark.parametrize("number", range(3))
    def test_uses(number):
        assert CHILD.poll() is None
"""
OF_IMPORT = f"{SERVER}\n    CHILD = start()\n{TESTS}"
OF_FIXTURE = f"""{SERVER}
    @pytest.fixture(scope="module", autouse=True)
    def server():
        global CHILD
        CHILD = start()
        yield
        END
{TESTS}"""


def test_a_module_fixtures_child_is_judged_after_its_last_test(suite):
    done = suite.write(test_a=OF_FIXTURE.replace("END", "pass")).run("--sockets-leaks=error")
    assert done.outcomes == {"passed": 3, "error": 1}
    assert [leak["nodeid"] for leak in done.leaks] == ["test_a.py::test_uses[2]"]
    assert done.owners == ["server"]


def test_one_that_the_fixture_stops_is_no_leak(suite):
    done = suite.write(test_a=OF_FIXTURE.replace("END", "stop(CHILD)")).run("--sockets-leaks=error")
    assert (done.outcomes, done.leaks) == ({"passed": 3}, [])


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["one process", "xdist"])
def test_an_imports_child_is_judged_at_the_end_of_the_session(suite, arguments):
    """No teardown is left that could fail, so the exit status shows it. Each xdist worker imports the module."""
    suite.write(test_a=OF_IMPORT, test_b="def test_last(): pass")
    done = suite.run("--sockets-leaks=error", *arguments, plugins=("xdist",) if arguments else ())
    assert done.outcomes == {"passed": 4}
    assert done.exit_code == 1
    assert {leak["owner"]["kind"] for leak in done.leaks} == {"import"}
    assert {leak["owner"]["phase"] for leak in done.leaks} == {"import"}
    assert len(done.leaks) == 1


def test_one_that_the_modules_teardown_stops_is_no_leak(suite):
    suite.write(test_a=f"{OF_IMPORT}\n    def teardown_module():\n        stop(CHILD)\n")
    done = suite.run("--sockets-leaks=error")
    assert (done.outcomes, done.leaks, done.exit_code) == ({"passed": 3}, [], 0)
