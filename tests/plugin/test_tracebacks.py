"""The tracebacks of a user's failures name no file of this plugin, in any style."""

from __future__ import annotations

import re

import pytest

FRAME = re.compile(r"pytest_sockets/\S+\.py(:\d+|\", line)")
"""A place in a file of the plugin, in any style. `--full-trace` also shows the arguments of pluggy's functions."""

SUITE = """
    import socket
    import pytest

    @pytest.fixture(scope="module")
    def broken():
        raise ValueError("in set-up")

    @pytest.fixture
    def broken_end():
        with socket.socket():
            yield
        raise ValueError("in teardown")

    def test_set_up(broken): pass

    def test_teardown(broken_end): pass

    def test_call():
        socket.socket(99)

    def test_call_with_the_fixture(sockets):
        raise ValueError("in the call")

    @pytest.fixture
    def broken_beside(sockets):
        raise ValueError("beside the fixture")

    def test_set_up_beside_the_fixture(broken_beside): pass
"""


@pytest.mark.parametrize("style", ["auto", "long", "short", "line", "native", "full-trace"])
@pytest.mark.parametrize("mode", ["warn", "error"])
def test_no_frame_of_the_plugin_is_shown(suite, style, mode):
    suite.write(test_a=SUITE)
    how = "--full-trace" if style == "full-trace" else f"--tb={style}"
    done = suite.run(how, f"--sockets-leaks={mode}")
    assert done.outcomes == {"failed": 2, "error": 3, "passed": 1}
    assert not FRAME.search(done.text), done.text


def test_an_error_in_a_session_hook_shows_no_frame_either(suite):
    suite.write(conftest="def pytest_sessionstart(session): raise ValueError('of the suite')", test_a="")
    done = suite.run()
    assert "ValueError: of the suite" in done.text
    assert not FRAME.search(done.text), done.text
