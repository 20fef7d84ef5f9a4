"""A module's server process lives between tests and is ended by its fixture; a test ends its own."""

import subprocess
import sys

import pytest

SERVER = (
    "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print('up', flush=True); time.sleep(60)"
)


def start():
    child = subprocess.Popen([sys.executable, "-S", "-c", SERVER], stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"up\n"
    return child


def stop(child):
    child.terminate()
    child.wait()
    child.stdout.close()


@pytest.fixture(scope="module")
def server():
    child = start()
    yield child
    stop(child)


def test_uses(server):
    assert server.poll() is None


def test_starts_its_own(server):
    stop(start())


def test_next_is_innocent():
    pass
