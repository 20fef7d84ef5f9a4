"""A server and a client on uvloop, all closed."""
# needs: uvloop

import asyncio

import uvloop


async def serve(reader, writer):
    writer.write(await reader.read(1))
    writer.close()


async def main():
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"x")
        assert await reader.read() == b"x"
        writer.close()
        await writer.wait_closed()


def test_serves():
    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


def test_next_is_innocent():
    pass
