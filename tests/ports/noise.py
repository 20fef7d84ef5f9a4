"""What a busy host does to port numbers: bind(0) and connect() as fast as one process can, until stdin is closed.

Says "ready" on stdout, and at the end how many ports of each kind it took.
"""

from __future__ import annotations

import random
import select
import socket
import struct
import sys

RESET = struct.pack("ii", 1, 0)  # SO_LINGER 0: no TIME_WAIT, so that a small ephemeral range does not run out


def bind_zero(held):
    """Bind the wildcard or loopback, TCP or UDP; some stay bound for a while."""
    sock = socket.socket(socket.AF_INET, random.choice((socket.SOCK_STREAM, socket.SOCK_DGRAM)))
    sock.bind((random.choice(("", "127.0.0.1")), 0))
    held.append(sock)
    if len(held) > 50:
        held.pop(0).close()


def connect_and_close(listener):
    client = socket.create_connection(listener.getsockname())
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    accepted, _ = listener.accept()
    client.close()
    accepted.close()


held = []
listener = socket.create_server(("127.0.0.1", 0))
print("ready", flush=True)
bound = connected = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    for _ in range(8):
        bind_zero(held)
    connect_and_close(listener)
    connect_and_close(listener)
    bound, connected = bound + 8, connected + 2
print(bound, connected, flush=True)
