"""While freezegun stops the clock, a forked server and a daemon are ended."""
# needs: posix freezegun

import os
import signal
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
    pid = os.fork()
    if pid == 0:
        with socket.create_server(("127.0.0.1", 0)):
            os.write(writer, b"up")
            time.sleep(60)
        os._exit(0)
    assert os.read(reader, 2) == b"up"
    os.close(reader)
    os.close(writer)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_starts_a_daemon():
    with subprocess.Popen([sys.executable, "-S", "-c", DAEMON], stdout=subprocess.PIPE, bufsize=0) as child:
        pid = int(child.stdout.read(20))
    subprocess.run([sys.executable, "-S", "-c", "pass"], check=True)
    os.kill(pid, signal.SIGKILL)


def test_next_is_innocent():
    pass
