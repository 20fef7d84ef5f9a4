"""loop.sock_connect() on a socket of one's own."""
# plugins: asyncio
# run: -o asyncio_mode=auto

import asyncio
import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


async def test_connects():
    sock = socket.socket()  # LEAK owner=test:test_connects
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, PEER)
    KEPT.append(sock)


def test_next_is_innocent():
    pass
