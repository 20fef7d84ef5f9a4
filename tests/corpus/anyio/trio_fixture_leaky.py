"""pytest-trio runs a fixture inside the call of its test; what it opens is the fixture's all the same."""
# plugins: trio

import pytest
import pytest_trio
import trio

KEPT = []


@pytest_trio.trio_fixture
async def listeners():
    # LEAK owner=fixture:listeners status=LISTEN
    made = await trio.open_tcp_listeners(0, host="127.0.0.1")
    KEPT.append(made)
    yield made


@pytest.mark.trio
async def test_uses_it(listeners):
    # LEAK owner=test:test_uses_it status=LISTEN
    KEPT.extend(await trio.open_tcp_listeners(0, host="127.0.0.1"))


def test_next_is_innocent():
    pass
