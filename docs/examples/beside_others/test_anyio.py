"""anyio: the same test in asyncio and in trio."""

import anyio
import pytest

pytestmark = pytest.mark.anyio


async def test_an_echo_comes_back(tcp_echo_server):
    async with await anyio.connect_tcp(*tcp_echo_server.address) as stream:
        await stream.send(b"hello")
        assert await stream.receive() == b"hello"
    await tcp_echo_server.async_wait_closed()
    assert tcp_echo_server.connections[0].closed_by == "client"
