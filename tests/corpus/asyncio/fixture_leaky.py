"""An async fixture yields a connection and forgets it."""
# plugins: asyncio
# run: -o asyncio_mode=auto

import asyncio
import os

import pytest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))

WRITERS = []


@pytest.fixture
async def connection():
    reader, writer = await asyncio.open_connection(*PEER)  # LEAK owner=fixture:connection scope=function
    WRITERS.append(writer)
    yield reader, writer


async def test_uses(connection):
    reader, writer = connection
    writer.write(b"x")
    assert await reader.read(1) == b"x"


def test_next_is_innocent():
    pass
