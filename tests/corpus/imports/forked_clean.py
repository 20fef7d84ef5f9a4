"""The last function of the module ends the server that its import has forked."""
# needs: posix

import os
import signal
import socket
import time

READ, WRITE = os.pipe()
PID = os.fork()
if PID == 0:
    with socket.create_server(("127.0.0.1", 0)):
        os.write(WRITE, b"up")
        time.sleep(60)
    os._exit(0)


def test_server_is_up():
    assert os.read(READ, 2) == b"up"


def teardown_module():
    os.kill(PID, signal.SIGKILL)
    os.waitpid(PID, 0)
