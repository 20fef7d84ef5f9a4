"""close() without wait_closed(): the loop closes the socket in its last iteration (auto mode)."""
# plugins: asyncio
# run: -o asyncio_mode=auto --sockets-unclosed=warn

import asyncio
import os

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


async def test_closes_without_waiting():
    reader, writer = await asyncio.open_connection(*PEER)
    writer.write(b"x")
    assert await reader.read(1) == b"x"
    writer.close()


async def test_next_async_is_innocent():
    await asyncio.sleep(0)


def test_next_is_innocent():
    pass
