"""A server process that a test started still listens when the test is over."""
# needs: posix

import subprocess
import sys

SERVER = (
    "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print('up', flush=True); time.sleep(60)"
)
CHILDREN = []


def test_starts_a_server():
    command = [sys.executable, "-S", "-c", SERVER]
    # LEAK process=child owner=test:test_starts_a_server line=optional status=LISTEN
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    CHILDREN.append(child)
    assert child.stdout.readline() == b"up\n"


def test_next_is_innocent():
    pass
