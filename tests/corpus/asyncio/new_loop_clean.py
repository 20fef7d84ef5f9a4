"""A test closes the loop that it has made, and so does the runner behind asyncio.run()."""
# run: --sockets-kinds=tcp,udp,unix

import asyncio

LOOPS = []


async def nothing():
    await asyncio.sleep(0)


def test_makes_a_loop():
    loop = asyncio.new_event_loop()
    LOOPS.append(loop)
    loop.run_until_complete(nothing())
    loop.close()


def test_runs():
    asyncio.run(nothing())


def test_next_is_innocent():
    pass
