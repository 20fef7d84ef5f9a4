"""A server and the workers that it has forked share one listener: one socket is left, not three."""
# needs: posix

import subprocess
import sys

SERVER = """
import os, socket, time
s = socket.create_server(('127.0.0.1', 0))
os.fork() and os.fork()
os.write(1, b'up\\n')
time.sleep(60)
"""
CHILDREN = []


def test_starts_a_server():
    command = [sys.executable, "-S", "-c", SERVER]
    # LEAK process=child owner=test:test_starts_a_server line=optional status=LISTEN
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    CHILDREN.append(child)
    assert [child.stdout.readline() for _ in range(3)] == [b"up\n"] * 3


def test_next_is_innocent():
    pass
