"""A module fixture forgets to end its server process."""
# needs: posix

import subprocess
import sys

import pytest

SERVER = (
    "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print('up', flush=True); time.sleep(60)"
)
CHILDREN = []


@pytest.fixture(scope="module")
def server():
    command = [sys.executable, "-S", "-c", SERVER]
    # LEAK process=child owner=fixture:server scope=module line=optional
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    CHILDREN.append(child)
    assert child.stdout.readline() == b"up\n"
    return child


def test_uses(server):
    assert server.poll() is None


def test_uses_again(server):
    assert server.poll() is None
