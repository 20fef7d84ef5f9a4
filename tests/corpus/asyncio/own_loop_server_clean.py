"""A server on a module fixture's own loop learns only at the loop's next turn that the test's client has gone."""
# crosses: the server

import asyncio

import pytest


async def echo(reader, writer):
    while data := await reader.read(100):
        writer.write(data)
    writer.close()


async def ask(address):
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"x")
    assert await reader.read(1) == b"x"
    writer.close()
    await writer.wait_closed()


@pytest.fixture(scope="module")
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(scope="module")
def address(loop):
    server = loop.run_until_complete(asyncio.start_server(echo, "127.0.0.1", 0))
    yield server.sockets[0].getsockname()
    server.close()
    loop.run_until_complete(asyncio.sleep(0.01))


def test_asks(loop, address):
    loop.run_until_complete(ask(address))


def test_next_is_innocent(address):
    pass
