"""An unclosed aiohttp.ClientSession that is kept."""
# plugins: asyncio
# needs: aiohttp
# run: -o asyncio_mode=auto

import os

import aiohttp

URL = "http://127.0.0.1:" + os.environ["CORPUS_HTTP"]

KEPT = []


async def test_asks():
    session = aiohttp.ClientSession()
    KEPT.append(session)
    async with session.get(URL) as answer:  # LEAK owner=test:test_asks
        assert await answer.text() == "ok"


def test_next_is_innocent():
    pass
