"""A test drops an asyncpg connection."""
# needs: asyncpg
# run: --sockets-unclosed=warn

import asyncio
import os

import asyncpg

PORT = int(os.environ["CORPUS_POSTGRES"])


async def connect():
    # LEAK owner=test:test_connects kind=unclosed line=optional
    connection = await asyncpg.connect(host="127.0.0.1", port=PORT, user="u", database="d", ssl=False)
    assert not connection.is_closed()


def test_connects():
    asyncio.run(connect())


def test_next_is_innocent():
    pass
