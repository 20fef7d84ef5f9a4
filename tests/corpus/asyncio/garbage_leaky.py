"""A forgotten writer is garbage once its loop is closed: the interpreter closes it, at some later test."""
# plugins: asyncio
# run: -o asyncio_mode=auto --sockets-unclosed=warn

import asyncio
import os

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


async def test_forgets_the_writer():
    # LEAK kind=unclosed owner=test:test_forgets_the_writer
    reader, writer = await asyncio.open_connection(*PEER)
    writer.write(b"x")
    assert await reader.read(1) == b"x"


async def test_next_async_is_innocent():
    await asyncio.sleep(0)


def test_next_is_innocent():
    pass
