"""A loop that is never closed leaves only its self-pipe, which is the loop's own business."""
# run: --sockets-kinds=tcp,udp,unix
# fragile: the self-pipe is left on purpose

import asyncio

LOOPS = []


async def nothing():
    await asyncio.sleep(0)


def test_makes_a_loop():
    loop = asyncio.new_event_loop()
    LOOPS.append(loop)
    loop.run_until_complete(nothing())


def test_runs():
    asyncio.run(nothing())


def test_next_is_innocent():
    pass
