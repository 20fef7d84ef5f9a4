"""A datagram endpoint is left."""
# plugins: asyncio
# run: -o asyncio_mode=auto

import asyncio

KEPT = []


async def test_listens():
    loop = asyncio.get_running_loop()
    KEPT.append(
        await loop.create_datagram_endpoint(  # LEAK owner=test:test_listens protocol=udp
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
    )


def test_next_is_innocent():
    pass
