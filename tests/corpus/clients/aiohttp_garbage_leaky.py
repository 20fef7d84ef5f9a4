"""An unclosed aiohttp.ClientSession that is garbage: its finalizer closes the connection, at some later test."""
# plugins: asyncio
# needs: aiohttp
# run: -o asyncio_mode=auto --sockets-unclosed=warn

import os

import aiohttp

URL = "http://127.0.0.1:" + os.environ["CORPUS_HTTP"]


async def test_asks():
    session = aiohttp.ClientSession()
    async with session.get(URL) as answer:  # LEAK kind=unclosed owner=test:test_asks
        assert await answer.text() == "ok"


def test_next_is_innocent():
    pass
