"""aiohttp.ClientSession as an async fixture, closed."""
# plugins: asyncio
# needs: aiohttp
# run: -o asyncio_mode=auto --sockets-unclosed=warn

import os

import aiohttp
import pytest

URL = "http://127.0.0.1:" + os.environ["CORPUS_HTTP"]


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as session:
        yield session


async def test_asks(session):
    async with session.get(URL) as answer:
        assert await answer.text() == "ok"


def test_next_is_innocent():
    pass
