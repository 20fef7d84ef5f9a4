"""A test module starts a server process when it is imported, before it has opened anything itself."""
# needs: posix

import subprocess
import sys

SERVER = (
    "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print('up', flush=True); time.sleep(60)"
)
COMMAND = [sys.executable, "-S", "-c", SERVER]
# LEAK process=child owner=import: phase=import status=LISTEN
CHILD = subprocess.Popen(COMMAND, stdout=subprocess.PIPE)


def test_server_is_up():
    assert CHILD.stdout.readline() == b"up\n"
