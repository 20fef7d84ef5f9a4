"""A shell runs the server as its own child."""
# needs: posix sh

import subprocess
import sys

SERVER = (
    "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print('up', flush=True); time.sleep(60)"
)
CHILDREN = []


def test_runs_a_script():
    command = f'{sys.executable} -S -c "{SERVER}"; true'
    # LEAK process=child owner=test:test_runs_a_script line=optional
    child = subprocess.Popen(command, shell=True, stdout=subprocess.PIPE)
    CHILDREN.append(child)
    assert child.stdout.readline() == b"up\n"


def test_next_is_innocent():
    pass
