"""asyncio.start_server() in a with block, with a client, both ends closed."""
# plugins: asyncio
# run: -o asyncio_mode=auto

import asyncio

SERVERS = []


async def serve(reader, writer):
    writer.write(await reader.read(1))
    writer.close()


async def test_serves():
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        SERVERS.append(server)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"x")
        assert await reader.read() == b"x"
        writer.close()
        await writer.wait_closed()


async def test_next_async_is_innocent():
    await asyncio.sleep(0)


def test_next_is_innocent():
    pass
