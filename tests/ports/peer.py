"""A process beside the test's own, with a pool of its own: one JSON command a line on stdin, one JSON answer on stdout.

Arguments: LOW HIGH KIND [held] [unlocked], KIND being "abstract" or the path of a lock file.
"""

from __future__ import annotations

import json
import os
import random
import socket
import sys
from pathlib import Path

from pytest_sockets.errors import SocketsError
from pytest_sockets.ports import pool as pool_module
from pytest_sockets.ports.locks import AbstractLocks, FileLocks
from pytest_sockets.ports.pool import PortPool
from pytest_sockets.ports.ranges import PortRanges, Span

low, high, kind = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
span = Span(low, high)
pool = PortPool(
    PortRanges((span,), (span,) if "held" in sys.argv[4:] else ()),
    locks=AbstractLocks() if kind == "abstract" else FileLocks(Path(kind)),
)


class Repeatable(random.Random):
    """Draws the same after each `reset`, also in a forked child: hypothesis must be able to repeat what it has found."""

    def seed(self, a=None, version=2):
        super().seed(7 if a is None else a, version)


if "unlocked" in sys.argv[4:]:  # a broken pool, which tests must notice
    pool._locks.take = lambda port: socket.socket()
servers: dict[int, socket.socket] = {}


def reserve(protocol="both"):
    return pool.reserve(protocol).port


def block(count):
    return [reservation.port for reservation in pool.reserve_block(count)]


def release(port):
    return pool.release(port).still_listening


def bind(port, reuse=False):
    server = socket.socket()
    if reuse:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen()
    servers[port] = server


def close(port):
    servers.pop(port).close()


def kept():
    return pool.kept


def reset():
    while servers:
        servers.popitem()[1].close()
    pool.close()
    pool_module._random = Repeatable()


def fork_and_reserve():
    """What a forked child gets, what it thinks it keeps, and whether it can take what the parent keeps."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = {"kept": pool.kept, "port": pool.reserve().port, "pid": os.getpid()}
        except SocketsError as error:
            answer = {"error": str(error)}
        os.write(writing, json.dumps(answer).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = json.loads(pipe.read())
    os.waitpid(child, 0)
    return answer


def fork_and_keep_running():
    """A child that does nothing until this process ends."""
    reading, writing = os.pipe()
    started, tell = os.pipe()
    if os.fork() == 0:
        os.close(writing)
        os.write(tell, b"x")
        os.read(reading, 1)
        os._exit(0)
    os.read(started, 1)


for line in sys.stdin:
    name, *arguments = json.loads(line)
    try:
        result = {"result": globals()[name](*arguments)}
    except (SocketsError, OSError) as error:
        result = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(result), flush=True)
