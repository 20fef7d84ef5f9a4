"""On a session-wide loop a test leaves its server: the loop holds it, but a loop is no pool. It is the test's."""
# plugins: asyncio
# run: -o asyncio_mode=auto -o asyncio_default_test_loop_scope=session -o asyncio_default_fixture_loop_scope=session
# crosses: the leak itself
# fragile: the listener is closed when the session's loop is freed

import asyncio


async def serve(reader, writer):
    writer.close()


async def test_serves():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)  # LEAK owner=test:test_serves status=LISTEN
    assert server.is_serving()


async def test_next_async_is_innocent():
    await asyncio.sleep(0)


def test_next_is_innocent():
    pass
