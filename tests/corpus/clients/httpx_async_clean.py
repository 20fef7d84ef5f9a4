"""httpx.AsyncClient in a with block."""
# plugins: asyncio
# needs: httpx
# run: -o asyncio_mode=auto

import os

import httpx

URL = "http://127.0.0.1:" + os.environ["CORPUS_HTTP"]

KEPT = []


async def test_asks():
    async with httpx.AsyncClient() as client:
        KEPT.append(client)
        assert (await client.get(URL)).text == "ok"


def test_next_is_innocent():
    pass
