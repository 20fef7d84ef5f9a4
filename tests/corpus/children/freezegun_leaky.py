"""While freezegun stops the clock, a forked server and a daemon are left."""
# needs: posix freezegun

import os
import socket
import subprocess
import sys
import time

import freezegun
import pytest

DAEMON = """
import os, socket, time
if os.fork() or os.fork():
    os._exit(0)
with socket.create_server(("127.0.0.1", 0)):
    os.write(1, str(os.getpid()).encode())
    time.sleep(20)
"""


@pytest.fixture(autouse=True)
def frozen():
    with freezegun.freeze_time("2020-01-01"):
        yield


def test_forks():
    reader, writer = os.pipe()
    pid = os.fork()  # LEAK process=child owner=test:test_forks status=LISTEN
    if pid == 0:
        with socket.create_server(("127.0.0.1", 0)):
            os.write(writer, b"up")
            time.sleep(60)
        os._exit(0)
    assert os.read(reader, 2) == b"up"
    os.close(reader)
    os.close(writer)


def test_starts_a_daemon():
    # LEAK process=child owner=test:test_starts_a_daemon status=LISTEN
    with subprocess.Popen([sys.executable, "-S", "-c", DAEMON], stdout=subprocess.PIPE, bufsize=0) as child:
        assert child.stdout.read(20)
    subprocess.run([sys.executable, "-S", "-c", "pass"], check=True)


def test_next_is_innocent():
    pass
