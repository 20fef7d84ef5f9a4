"""Only the value stack of the suspended async fixture holds the context manager that closes the connection."""
# crosses: the pool lives until its fixture ends
# plugins: asyncio
# run: -o asyncio_mode=auto -o asyncio_default_test_loop_scope=session -o asyncio_default_fixture_loop_scope=session

import contextlib
import os
import socket

import pytest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
ASKERS = []


@contextlib.asynccontextmanager
async def running():
    socks = []

    async def ask():
        if not socks:
            socks.append(socket.create_connection(PEER))
        return socks[0]

    ASKERS.append(ask)
    yield
    for sock in socks:
        sock.close()


@pytest.fixture(scope="session", autouse=True)
async def service():
    async with running():
        yield


async def test_one():
    (await ASKERS[0]()).sendall(b"x")


async def test_two():
    (await ASKERS[0]()).sendall(b"x")
