import httpx
import pytest
import pytest_asyncio


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client():
    async with httpx.AsyncClient() as client:
        yield client


@pytest.mark.asyncio(loop_scope="session")
async def test_shared(client):
    assert not client.is_closed
