"""A failure says when another owner listens on the same port through SO_REUSEPORT."""

from __future__ import annotations

import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the inodes of sockets tell them apart")

TITLE = "port shared by several servers (pytest-sockets)"
HEAD = """
import socket
import pytest

def listen(port=0):
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    server.bind(("127.0.0.1", port))
    server.listen()
    return server

@pytest.fixture
def port():
    with listen() as server:
        yield server.getsockname()[1]
"""
TEST = "def test_x(port):\n    other = listen(port)\n    assert OUTCOME"
ONE_OWNER = "def test_x():\n    one = listen()\n    two = listen(one.getsockname()[1])\n    assert OUTCOME"


def run(suite, body: str, outcome: str = "False") -> str:
    suite.write(test_x=HEAD + body.replace("OUTCOME", outcome))
    return suite.run("-W", "ignore", report=False).text


def test_both_owners_are_named(suite):
    section = run(suite, TEST).partition(TITLE)[2]
    assert "2 owners listen on 127.0.0.1:" in section
    assert "through SO_REUSEPORT, and answers come from all of them:" in section
    assert "opened by fixture 'port' (scope function)" in section
    assert "opened by test test_x.py::test_x" in section


def test_the_twins_one_owner_or_a_passing_test_get_no_note(suite):
    assert TITLE not in run(suite, ONE_OWNER)
    assert TITLE not in run(suite, TEST, "True")
