"""The test ends the shell and the server that it has started."""
# needs: posix

import os
import shlex
import signal
import subprocess
import sys

SERVER = (
    "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print('up', flush=True); time.sleep(60)"
)


def test_starts_a_server():
    command = f"{shlex.join([sys.executable, '-S', '-c', SERVER])}; true"
    shell = subprocess.Popen(command, shell=True, stdout=subprocess.PIPE, start_new_session=True)
    with shell.stdout:
        assert shell.stdout.readline() == b"up\n"
        os.killpg(shell.pid, signal.SIGKILL)
        assert shell.stdout.read() == b""
    shell.wait()


def test_next_is_innocent():
    pass
