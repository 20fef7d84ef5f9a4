"""A test closes the loop that it has made; that of a runner stays open until the session ends."""
# run: --sockets-kinds=tcp,udp,unix
# needs: posix
# crosses: the runner's loop
# at the end: the runner's loop, which is not reported

import asyncio

KEPT = []


def test_makes_a_loop():
    loop = asyncio.new_event_loop()
    KEPT.append(loop)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def test_keeps_a_runner():
    runner = asyncio.Runner()
    KEPT.append(runner)
    runner.run(asyncio.sleep(0))


def test_next_is_innocent():
    pass
