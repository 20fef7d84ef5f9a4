"""A stream writer that is closed and waited for (strict mode)."""
# plugins: asyncio

import asyncio
import os

import pytest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))

WRITERS = []


@pytest.mark.asyncio
async def test_connects():
    reader, writer = await asyncio.open_connection(*PEER)
    WRITERS.append(writer)
    writer.write(b"x")
    assert await reader.read(1) == b"x"
    writer.close()
    await writer.wait_closed()


def test_next_is_innocent():
    pass


@pytest.mark.asyncio
async def test_next_async_is_innocent():
    await asyncio.sleep(0)
