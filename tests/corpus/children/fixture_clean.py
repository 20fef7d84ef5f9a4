"""A session fixture's server process begins to listen only while the second test runs: the fixture's all the same."""

import subprocess
import sys

import pytest

SERVER = """
import socket
print('started', flush=True)
input()
s = socket.create_server(('127.0.0.1', 0))
print('listens', flush=True)
input()
"""


@pytest.fixture(scope="session")
def server():
    command = [sys.executable, "-S", "-c", SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"started\n"
        yield child
        child.communicate(b"\n")


def test_uses(server):
    assert server.poll() is None


def test_makes_it_listen(server):
    server.stdin.write(b"\n")
    server.stdin.flush()
    assert server.stdout.readline() == b"listens\n"


def test_next_is_innocent():
    pass
