"""A test module forks a server when it is imported: no function of Python's own is called before the fork."""
# needs: posix

import os
import socket
import time

READ, WRITE = os.pipe()
PID = os.fork()  # LEAK process=child owner=import: phase=import status=LISTEN
if PID == 0:
    with socket.create_server(("127.0.0.1", 0)):
        os.write(WRITE, b"up")
        time.sleep(60)
    os._exit(0)


def test_server_is_up():
    assert os.read(READ, 2) == b"up"
