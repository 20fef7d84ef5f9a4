"""A session's asynchronous gRPC channel connects at its first call, inside a test; its fixture closes it."""
# needs: grpc
# crosses: the session's server and channel

import asyncio
from concurrent import futures

import grpc
import grpc.aio
import pytest


class Echo(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(lambda request, context: request)


@pytest.fixture(scope="session")
def address():
    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[Echo()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.fixture(scope="session")
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(scope="session")
def channel(loop, address):
    async def make():
        return grpc.aio.insecure_channel(address)

    channel = loop.run_until_complete(make())
    yield channel
    loop.run_until_complete(channel.close())


async def call(channel, data):
    return await channel.unary_unary("/echo/echo")(data)


def test_first_call_connects(loop, channel):
    assert loop.run_until_complete(call(channel, b"a")) == b"a"


def test_second_call(loop, channel):
    assert loop.run_until_complete(call(channel, b"b")) == b"b"


def test_next_is_innocent():
    pass
