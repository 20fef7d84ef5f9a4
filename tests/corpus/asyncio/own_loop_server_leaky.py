"""A server on a module fixture's own loop, which runs while a test asks; the test forgets its client."""
# crosses: the server

import asyncio
import socket

import pytest

KEPT = []


async def echo(reader, writer):
    writer.write(await reader.read(100))
    writer.close()


@pytest.fixture(scope="module")
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(scope="module")
def address(loop):
    server = loop.run_until_complete(asyncio.start_server(echo, "127.0.0.1", 0))
    yield server.sockets[0].getsockname()
    server.close()
    loop.run_until_complete(asyncio.sleep(0.01))


def test_asks(loop, address):
    client = socket.create_connection(address)  # LEAK owner=test:test_asks
    client.setblocking(False)
    client.send(b"x")
    assert loop.run_until_complete(loop.sock_recv(client, 1)) == b"x"
    KEPT.append(client)


def test_next_is_innocent(address):
    pass
