"""A test never closes its own psycopg connection; the session's gRPC channel connects in the same test."""
# needs: grpc psycopg
# crosses: the session's channel and server

import os
from concurrent import futures

import grpc
import psycopg
import pytest

KEPT = []
DSN = (
    f"host=127.0.0.1 port={os.environ['CORPUS_POSTGRES']} user=u dbname=d sslmode=disable gssencmode=disable"
)


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


def test_connects_both(echo):
    connection = psycopg.connect(DSN)  # LEAK owner=test:test_connects_both line=optional
    KEPT.append(connection)
    assert echo(b"a") == b"a"


def test_next_is_innocent():
    pass
