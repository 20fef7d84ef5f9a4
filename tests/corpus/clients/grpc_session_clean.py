"""A session's gRPC channel connects at its first call, inside a test; its fixture closes it."""
# needs: grpc
# crosses: the session's channel and server

from concurrent import futures

import grpc
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
def echo(address):
    with grpc.insecure_channel(address) as channel:
        yield channel.unary_unary("/echo/echo")


def test_first_call_connects(echo):
    assert echo(b"a") == b"a"


def test_second_call(echo):
    assert echo(b"b") == b"b"


def test_next_is_innocent():
    pass
