"""A session-wide loop and server: between tests the loop stands still, and closed clients' peers wait in CLOSE_WAIT."""
# plugins: asyncio
# run: -o asyncio_mode=auto -o asyncio_default_test_loop_scope=session -o asyncio_default_fixture_loop_scope=session
# crosses: the session's server and what it accepted

import asyncio

import pytest


async def serve(reader, writer):
    while data := await reader.read(100):
        writer.write(data)
    writer.close()


@pytest.fixture(scope="session")
async def server():
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()


async def echo(address):
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"x")
    assert await reader.read(1) == b"x"
    writer.close()


async def test_one(server):
    await echo(server)


async def test_two(server):
    await echo(server)


def test_synchronous(server):
    pass


async def test_lets_the_loop_run():
    await asyncio.sleep(0.05)
