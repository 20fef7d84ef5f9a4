"""A test never closes an asynchronous gRPC channel of its own; the server is the session's."""
# needs: grpc
# crosses: the session's server
# at the end: the client's connection has closed with the server

import asyncio
from concurrent import futures

import grpc
import grpc.aio
import pytest

KEPT = []


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


async def call(address):
    channel = grpc.aio.insecure_channel(
        address
    )  # LEAK owner=test:test_calls line=optional status=ESTABLISHED
    KEPT.append(channel)
    return await channel.unary_unary("/echo/echo")(b"a")


def test_calls(loop, address):
    assert loop.run_until_complete(call(address)) == b"a"


def test_next_is_innocent():
    pass
