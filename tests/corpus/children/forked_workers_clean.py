"""A server that has forked workers is stopped with all of them."""
# needs: posix

import os
import signal
import subprocess
import sys

SERVER = """
import os, socket, time
s = socket.create_server(('127.0.0.1', 0))
os.fork() and os.fork()
os.write(1, b'up\\n')
time.sleep(60)
"""


def test_starts_a_server():
    command = [sys.executable, "-S", "-c", SERVER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as child:
        assert [child.stdout.readline() for _ in range(3)] == [b"up\n"] * 3
        os.killpg(child.pid, signal.SIGKILL)
        assert child.stdout.read() == b""  # the last writer is gone


def test_next_is_innocent():
    pass
