"""The test ends the shell and waits for it; the server that the shell has started goes on."""
# needs: posix

import shlex
import subprocess
import sys

SERVER = (
    "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print('up', flush=True); time.sleep(60)"
)


def test_starts_a_server():
    command = f"{shlex.join([sys.executable, '-S', '-c', SERVER])}; true"
    # LEAK process=child owner=test:test_starts_a_server line=optional status=LISTEN
    shell = subprocess.Popen(command, shell=True, stdout=subprocess.PIPE)
    with shell.stdout:
        assert shell.stdout.readline() == b"up\n"
    shell.terminate()
    shell.wait()


def test_next_is_innocent():
    pass
