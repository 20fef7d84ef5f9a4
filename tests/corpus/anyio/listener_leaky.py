"""An anyio listener of an async fixture is left."""
# plugins: anyio
# needs: trio

import anyio
import pytest

LISTENERS = []


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


@pytest.fixture
async def listener(anyio_backend):
    # LEAK owner=fixture:listener scope=function count=2 status=LISTEN
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    LISTENERS.append(listener)
    return listener


@pytest.mark.anyio
async def test_uses(listener):
    await anyio.sleep(0)


def test_next_is_innocent():
    pass
