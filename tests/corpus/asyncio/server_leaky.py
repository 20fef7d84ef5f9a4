"""asyncio.start_server() without close(): the listener survives the loop when something holds the server."""
# plugins: asyncio
# run: -o asyncio_mode=auto

import asyncio

SERVERS = []


async def serve(reader, writer):
    writer.close()


async def test_serves():
    # LEAK owner=test:test_serves status=LISTEN
    SERVERS.append(await asyncio.start_server(serve, "127.0.0.1", 0))


async def test_next_async_is_innocent():
    await asyncio.sleep(0)


def test_next_is_innocent():
    pass
