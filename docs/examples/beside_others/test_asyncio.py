"""pytest-asyncio: the fixture owns the server, the test owns its connection."""

import asyncio

import pytest
import pytest_asyncio


@pytest_asyncio.fixture
async def greeter(free_port):
    async def greet(_reader, writer):
        writer.write(b"hello\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(greet, "127.0.0.1", free_port)
    async with server:
        yield free_port


@pytest.mark.asyncio
async def test_it_greets(greeter):
    reader, writer = await asyncio.open_connection("127.0.0.1", greeter)
    assert await reader.readline() == b"hello\n"
    writer.close()
    await writer.wait_closed()
