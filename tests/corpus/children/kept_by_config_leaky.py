"""A fixture keeps its server process on the configuration."""
# needs: posix

import subprocess
import sys

import pytest

SERVER = (
    "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print('up', flush=True); time.sleep(60)"
)


@pytest.fixture
def server(request):
    command = [sys.executable, "-S", "-c", SERVER]
    # LEAK process=child owner=fixture:server line=optional status=LISTEN
    child = request.config.server_process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"up\n"
    return child


def test_asks(server):
    assert server.poll() is None


def test_next_is_innocent():
    pass
