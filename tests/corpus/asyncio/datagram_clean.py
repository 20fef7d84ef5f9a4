"""A datagram endpoint is closed."""
# plugins: asyncio
# run: -o asyncio_mode=auto

import asyncio

KEPT = []


async def test_listens():
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
    KEPT.append(transport)
    transport.close()


def test_next_is_innocent():
    pass
