"""A module fixture runs a server and a client in a uvloop of its own, and leaves both."""
# needs: uvloop
# crosses: the module's loop, its server and client

import asyncio
import threading

import pytest
import uvloop

KEPT = []


async def echo(reader, writer):
    while data := await reader.read(100):
        writer.write(data)
    writer.close()


class Service:
    def __init__(self):
        self.loop = uvloop.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()  # LEAK owner=fixture:service scope=module status=LISTEN
        self.server = self.run(asyncio.start_server(echo, "127.0.0.1", 0))
        self.address = self.server.sockets[0].getsockname()
        self.clients = []

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    async def close(self):
        for _, writer in self.clients:
            writer.close()
            await writer.wait_closed()
        self.server.close()
        await self.server.wait_closed()


@pytest.fixture(scope="module")
def service():
    service = Service()
    KEPT.append(service)
    return service


def test_connects_lazily(service):
    # LEAK owner=fixture:service scope=module line=none status=ESTABLISHED
    reader, writer = service.run(asyncio.open_connection(*service.address))
    service.clients.append((reader, writer))
    writer.write(b"x")
    assert service.run(reader.readexactly(1)) == b"x"


def test_next_is_innocent(service):
    reader, writer = service.clients[0]
    writer.write(b"y")
    assert service.run(reader.readexactly(1)) == b"y"
