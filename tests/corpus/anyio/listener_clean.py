"""An anyio server in a task group of an async fixture, with a client, all closed."""
# plugins: anyio
# needs: trio

import anyio
import pytest


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


async def serve(stream):
    async with stream:
        await stream.send(await stream.receive())


@pytest.fixture
async def port(anyio_backend):
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, serve)
        yield listener.extra(anyio.abc.SocketAttribute.local_port)
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_uses(port):
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(b"x")
        assert await stream.receive() == b"x"


def test_next_is_innocent():
    pass
