"""A task that a test left pending on a session-wide loop holds a connection: the test's, on the line in the coroutine."""
# plugins: asyncio
# run: -o asyncio_mode=auto -o asyncio_default_test_loop_scope=session -o asyncio_default_fixture_loop_scope=session
# crosses: the leak itself
# fragile: the session's loop cancels its tasks at its end

import asyncio
import os

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
TASKS = set()


async def poll(connected):
    # LEAK owner=test:test_starts_a_poller
    reader, writer = await asyncio.open_connection(*PEER)
    connected.set()
    await reader.read()
    writer.close()


async def test_starts_a_poller():
    connected = asyncio.Event()
    TASKS.add(asyncio.create_task(poll(connected)))
    await connected.wait()


async def test_next_async_is_innocent():
    await asyncio.sleep(0)
