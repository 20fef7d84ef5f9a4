"""Async fixtures of function and module scope close what they yielded, on their loops."""
# plugins: asyncio
# run: -o asyncio_mode=auto --sockets-kinds=tcp,udp,unix
# crosses: the module's connection

import asyncio
import os

import pytest
import pytest_asyncio

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


@pytest.fixture
async def connection():
    reader, writer = await asyncio.open_connection(*PEER)
    yield reader, writer
    writer.close()
    await writer.wait_closed()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_connection():
    reader, writer = await asyncio.open_connection(*PEER)
    yield reader, writer
    writer.close()
    await writer.wait_closed()


async def test_uses(connection):
    reader, writer = connection
    writer.write(b"x")
    assert await reader.read(1) == b"x"


@pytest.mark.asyncio(loop_scope="module")
async def test_uses_the_modules(module_connection):
    reader, writer = module_connection
    writer.write(b"x")
    assert await reader.read(1) == b"x"


@pytest.mark.asyncio(loop_scope="module")
async def test_uses_it_again(module_connection):
    reader, writer = module_connection
    writer.write(b"x")
    assert await reader.read(1) == b"x"
