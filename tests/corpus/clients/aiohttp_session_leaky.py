"""A session-wide aiohttp client, kept by a global, is never closed: the fixture's leak, opened by the first test."""
# plugins: asyncio
# needs: aiohttp
# run: -o asyncio_mode=auto -o asyncio_default_test_loop_scope=session -o asyncio_default_fixture_loop_scope=session
# crosses: the session's client

import os

import aiohttp
import pytest

URL = "http://127.0.0.1:" + os.environ["CORPUS_HTTP"]

KEPT = []


@pytest.fixture(scope="session")
async def client():
    client = aiohttp.ClientSession()
    KEPT.append(client)
    return client


async def test_one(client):
    async with client.get(URL) as answer:  # LEAK owner=fixture:client scope=session
        assert await answer.text() == "ok"


async def test_two(client):
    async with client.get(URL) as answer:
        assert await answer.text() == "ok"
