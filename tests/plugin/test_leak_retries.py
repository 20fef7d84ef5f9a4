"""A plugin that retries a test while its report is made loses no leak: the attempt that counts gets the error."""

from __future__ import annotations

import pytest

pytest.importorskip("pytest_retry")

FLAKY = """
    import socket
    import pytest
    KEPT, TRIES = [], []
    @pytest.mark.flaky(retries=2)
    def test_flaky():
        TRIES.append(1)
        assert len(TRIES) == 2
        sock = socket.create_server(("127.0.0.1", 0))
        {}
    def test_next():
        pass
"""


def test_a_leak_of_the_last_attempt_is_an_error_though_the_first_one_failed(suite):
    suite.write(test_a=FLAKY.format("KEPT.append(sock)"))
    done = suite.run("--sockets-leaks=error", plugins=("pytest-retry",))
    assert done.exit_code == 1, done.text
    assert [leak["owner"]["name"] for leak in done.leaks] == ["test_a.py::test_flaky"]
    assert done.outcomes["error"] == 1


def test_a_last_attempt_that_closes_is_no_error(suite):
    suite.write(test_a=FLAKY.format("sock.close()"))
    done = suite.run("--sockets-leaks=error", plugins=("pytest-retry",))
    assert done.exit_code == 0, done.text
    assert done.leaks == []
