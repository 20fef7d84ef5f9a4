"""A test ends its asyncpg connection before it drops it."""
# needs: asyncpg
# run: --sockets-unclosed=warn

import asyncio
import os

import asyncpg

PORT = int(os.environ["CORPUS_POSTGRES"])


async def connect():
    connection = await asyncpg.connect(host="127.0.0.1", port=PORT, user="u", database="d", ssl=False)
    assert not connection.is_closed()
    connection.terminate()


def test_connects():
    asyncio.run(connect())


def test_next_is_innocent():
    pass
