"""A uvloop in a daemon thread keeps serving: libuv opened the listener, no line of Python did."""
# needs: uvloop

import asyncio
import threading

import uvloop


async def serve(reader, writer):
    writer.close()


async def main(up):
    server = await asyncio.start_server(serve, "127.0.0.1", 0)  # LEAK owner=test:test_serves line=optional
    up.set()
    await server.serve_forever()


def run(up):
    loop = uvloop.new_event_loop()
    loop.run_until_complete(main(up))


def test_serves():
    up = threading.Event()
    threading.Thread(target=run, args=[up], daemon=True).start()
    assert up.wait(10)


def test_next_is_innocent():
    pass
