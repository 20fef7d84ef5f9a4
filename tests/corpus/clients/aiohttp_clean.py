"""aiohttp.ClientSession in a with block."""
# plugins: asyncio
# needs: aiohttp
# run: -o asyncio_mode=auto

import os

import aiohttp

URL = "http://127.0.0.1:" + os.environ["CORPUS_HTTP"]

KEPT = []


async def test_asks():
    async with aiohttp.ClientSession() as session, session.get(URL) as answer:
        KEPT.append(session)
        assert await answer.text() == "ok"


def test_next_is_innocent():
    pass
