"""A test never closes the event loop that it has made."""
# run: --sockets-kinds=tcp,udp,unix
# needs: posix

import asyncio

KEPT = []


def test_makes_a_loop():
    loop = asyncio.new_event_loop()  # LEAK owner=test:test_makes_a_loop protocol=unix
    KEPT.append(loop)
    loop.run_until_complete(asyncio.sleep(0))


def test_next_is_innocent():
    pass
