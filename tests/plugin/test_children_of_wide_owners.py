"""A child that an import or a wide fixture starts is its own while several tests run, and a leak once, after the last."""

from __future__ import annotations

import textwrap

import pytest

STARTING = """
    import subprocess, sys

    CODE = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print(flush=True); time.sleep(60)"

    def start():
        child = subprocess.Popen([sys.executable, "-Ic", CODE], stdout=subprocess.PIPE)
        child.stdout.readline()
        return child

    def stop(child):
        child.kill()
        child.communicate()
"""
FIXTURE = """
    import pytest
    from starting import start, stop

    @pytest.fixture(scope="{scope}")
    def service():
        child = start()
        yield child
        if {stops}: stop(child)

    class TestAll:
        def test_1(self, service): pass
        def test_2(self, service): assert service.poll() is None
        def test_3(self, service): pass
"""
IMPORT = """
    from starting import start, stop

    CHILD = start()

    def test_1(): pass
    def test_2(): assert CHILD.poll() is None
    def test_3():
        if {stops}: stop(CHILD)
"""
LATE = """
    import pytest
    from starting import start, stop
    CHILDREN = []

    @pytest.fixture(scope="module")
    def pool():
        yield lambda: CHILDREN.append(start())
        if {stops}: stop(CHILDREN[0])

    def test_1(pool): pool()
    def test_2(pool): pass
"""


@pytest.fixture
def run(suite):
    def run(text, **values):
        suite.write(starting=STARTING, test_a=textwrap.dedent(text).format(**values))
        return suite.run("--sockets-grace=0.1")

    return run


@pytest.mark.parametrize("scope", ["class", "module", "session"])
def test_a_fixtures_child_is_the_fixtures_and_found_once(run, scope):
    done = run(FIXTURE, scope=scope, stops=False)
    assert done.outcomes == {"passed": 3}
    (leak,) = done.leaks
    assert (leak["owner"]["name"], leak["owner"]["kind"], leak["owner"]["scope"]) == (
        "service",
        "fixture",
        scope,
    )
    assert leak["nodeid"].endswith("::test_3")
    assert leak["socket"]["process"]
    assert done.places == ["starting.py:7"]


def test_an_imports_child_is_the_imports_and_found_once(run):
    done = run(IMPORT, stops=False)
    assert done.outcomes == {"passed": 3}
    (leak,) = done.leaks
    assert (leak["owner"]["kind"], leak["owner"]["phase"]) == ("import", "import")
    assert done.places == ["starting.py:7"]


def test_a_child_that_a_fixture_starts_for_a_test_is_kept_by_the_fixture(run):
    """The call ran in the first test, and the object that has the child is the module's."""
    done = run(LATE, stops=False)
    assert done.outcomes == {"passed": 2}
    assert len(done.leaks) == 1


@pytest.mark.parametrize(("text", "values"), [(FIXTURE, {"scope": "module"}), (IMPORT, {}), (LATE, {})])
def test_the_twin_that_stops_it_is_clean(run, text, values):
    assert run(text, stops=True, **values).leaks == []
