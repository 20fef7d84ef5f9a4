"""A session-wide aiohttp client: its keep-alive connection, opened by the first test, lives until the session ends."""
# plugins: asyncio
# needs: aiohttp
# run: -o asyncio_mode=auto -o asyncio_default_test_loop_scope=session -o asyncio_default_fixture_loop_scope=session
# crosses: the session's client

import os

import aiohttp
import pytest

URL = "http://127.0.0.1:" + os.environ["CORPUS_HTTP"]


@pytest.fixture(scope="session")
async def client():
    async with aiohttp.ClientSession() as client:
        yield client


async def test_one(client):
    async with client.get(URL) as answer:
        assert await answer.text() == "ok"


async def test_two(client):
    async with client.get(URL) as answer:
        assert await answer.text() == "ok"


def test_synchronous():
    pass
