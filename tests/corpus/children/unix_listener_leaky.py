"""A child still listens on a unix socket."""
# run: --sockets-kinds=tcp,udp,unix
# needs: posix

import subprocess
import sys

SERVER = """
import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
print('up', flush=True)
time.sleep(60)
"""
CHILDREN = []


def test_starts_a_server(tmp_path):
    command = [sys.executable, "-S", "-c", SERVER, str(tmp_path / "s")]
    # LEAK process=child owner=test:test_starts_a_server line=optional protocol=unix status=LISTEN
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    CHILDREN.append(child)
    assert child.stdout.readline() == b"up\n"


def test_next_is_innocent():
    pass
