"""A server makes itself a daemon (forks twice, init adopts it); another command asks it, and the test ends it."""
# needs: posix

import os
import signal
import subprocess
import sys
import time

SERVER = """
import os, socket, sys, time
if os.fork() or os.fork():
    os._exit(0)
server = socket.create_server(("127.0.0.1", 0))
with open(sys.argv[1] + ".new", "w") as file:
    file.write(f"{os.getpid()} {server.getsockname()[1]}")
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(20)
"""
CLIENT = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1]))).close()"


def test_asks_a_daemon(tmp_path):
    path = tmp_path / "port"
    subprocess.run([sys.executable, "-S", "-c", SERVER, str(path)], check=True)
    deadline = time.monotonic() + 20
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    pid, port = path.read_text().split()
    subprocess.run([sys.executable, "-S", "-c", CLIENT, port], check=True)
    os.kill(int(pid), signal.SIGKILL)
    while (
        subprocess.run([sys.executable, "-S", "-c", CLIENT, port], stderr=subprocess.DEVNULL).returncode == 0
    ):
        assert time.monotonic() < deadline


def test_next_is_innocent():
    pass
