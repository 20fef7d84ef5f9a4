"""The last function of the module ends the server process that its import started."""
# needs: posix

import subprocess
import sys

SERVER = (
    "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print('up', flush=True); time.sleep(60)"
)
COMMAND = [sys.executable, "-S", "-c", SERVER]
CHILD = subprocess.Popen(COMMAND, stdout=subprocess.PIPE)


def test_server_is_up():
    assert CHILD.stdout.readline() == b"up\n"


def teardown_module():
    CHILD.kill()
    CHILD.communicate()
