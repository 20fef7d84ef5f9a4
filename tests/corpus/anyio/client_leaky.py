"""anyio streams are kept, on asyncio and on trio. anyio connects in a task of its own: the line may be unknown."""
# plugins: anyio
# needs: trio

import os

import anyio
import pytest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))

STREAMS = []


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


@pytest.mark.anyio
async def test_connects():
    # LEAK owner=test:test_connects[asyncio] line=optional
    # LEAK owner=test:test_connects[trio] line=optional
    stream = await anyio.connect_tcp(*PEER)
    STREAMS.append(stream)
    await stream.send(b"x")
    assert await stream.receive(1) == b"x"


def test_next_is_innocent():
    pass
