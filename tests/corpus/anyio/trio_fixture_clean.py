"""The same fixture closes what it opened when the test's nursery ends."""
# plugins: trio

import pytest
import pytest_trio
import trio


@pytest_trio.trio_fixture
async def listeners():
    made = await trio.open_tcp_listeners(0, host="127.0.0.1")
    yield made
    for listener in made:
        await listener.aclose()


@pytest.mark.trio
async def test_uses_it(listeners):
    assert listeners


def test_next_is_innocent():
    pass
