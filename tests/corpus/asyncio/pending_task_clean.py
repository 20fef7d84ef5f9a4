"""A background task of a session fixture keeps its connection while tests come and go on the same loop."""
# plugins: asyncio
# run: -o asyncio_mode=auto -o asyncio_default_test_loop_scope=session -o asyncio_default_fixture_loop_scope=session
# crosses: the fixture's task

import asyncio
import contextlib
import os

import pytest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


async def poll(connected):
    reader, writer = await asyncio.open_connection(*PEER)
    connected.set()
    try:
        await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.fixture(scope="session", autouse=True)
async def poller():
    connected = asyncio.Event()
    task = asyncio.create_task(poll(connected))
    yield connected
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_waits(poller):
    await poller.wait()


async def test_next_async_is_innocent():
    await asyncio.sleep(0)
