"""A kept httpx.AsyncClient; it connects through anyio, in a task: the line may be unknown."""
# plugins: asyncio
# needs: httpx
# run: -o asyncio_mode=auto

import os

import httpx

URL = "http://127.0.0.1:" + os.environ["CORPUS_HTTP"]

KEPT = []


async def test_asks():
    client = httpx.AsyncClient()
    KEPT.append(client)
    answer = await client.get(URL)  # LEAK owner=test:test_asks line=optional
    assert answer.text == "ok"


def test_next_is_innocent():
    pass
