"""A test makes a loop of its own and leaves its server: both are named."""
# run: --sockets-kinds=tcp,udp,unix

import asyncio

LOOPS = []


async def serve(reader, writer):
    writer.close()


def test_makes_a_loop():
    loop = asyncio.new_event_loop()  # LEAK owner=test:test_makes_a_loop protocol=unix
    LOOPS.append(loop)
    # LEAK owner=test:test_makes_a_loop protocol=tcp
    loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0))


def test_next_is_innocent():
    pass
