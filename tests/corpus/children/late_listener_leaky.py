"""A process started by one test begins to listen in the next: the first one's."""
# needs: posix

import subprocess
import sys

SERVER = (
    "import socket; input(); s = socket.create_server(('127.0.0.1', 0)); print('up', flush=True); input()"
)
CHILDREN = []


def test_starts_the_process():
    command = [sys.executable, "-S", "-c", SERVER]
    # LEAK process=child owner=test:test_starts_the_process line=optional
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    CHILDREN.append(child)


def test_is_innocent():
    CHILDREN[0].stdin.write(b"\n")
    CHILDREN[0].stdin.flush()
    assert CHILDREN[0].stdout.readline() == b"up\n"


def test_next_is_innocent():
    pass
