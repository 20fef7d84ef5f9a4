import asyncio

import httpx
import pytest
import pytest_asyncio


@pytest.fixture
def api(scripted_server_factory):
    def answer(conn):
        conn.recv_until(b"\r\n\r\n")
        conn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")

    return scripted_server_factory(answer)


@pytest.mark.asyncio
async def test_health(api):
    async with httpx.AsyncClient() as client:
        assert (await client.get(api.url("http"))).status_code == 200


@pytest_asyncio.fixture
async def client():
    async with httpx.AsyncClient() as client:
        yield client


@pytest.mark.asyncio
async def test_client(api, client):
    assert (await client.get(api.url("http"))).status_code == 200


@pytest.mark.asyncio
async def test_writer(tcp_echo_server):
    _, writer = await asyncio.open_connection(*tcp_echo_server.address)
    writer.close()
    await writer.wait_closed()
