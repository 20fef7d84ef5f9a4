"""A server that was there before the run, started when conftest.py was imported, and stopped when pytest is unconfigured."""
# needs: posix
# crosses: the server

import subprocess
import sys

SERVER = (
    "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print('up', flush=True); time.sleep(60)"
)
CHILD = subprocess.Popen([sys.executable, "-S", "-c", SERVER], stdout=subprocess.PIPE)


def pytest_unconfigure():
    CHILD.kill()
    CHILD.wait()
    CHILD.stdout.close()
