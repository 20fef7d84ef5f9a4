"""The same faults in front of a real redis, if one is installed."""

import shutil

import pytest

from pytest_sockets import faults

redis = pytest.importorskip("redis")


@pytest.fixture(scope="session")
def redis_server(session_server_process_factory):
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is not installed")
    return session_server_process_factory(["redis-server", "--port", "{port}", "--save", ""])


def test_a_pooled_connection_that_broke_is_replaced(fault_proxy_factory, redis_server):
    proxy = fault_proxy_factory(redis_server.address)
    with redis.Redis(proxy.host, proxy.port, socket_timeout=5) as client:
        client.set("colour", "blue")
        proxy.reset_all()  # as a load balancer does to idle connections
        assert client.get("colour") == b"blue"


def test_a_slow_network_is_within_the_timeout(fault_proxy_factory, redis_server):
    proxy = fault_proxy_factory(redis_server.address, faults=[faults.Latency(0.05, jitter=0.01)])
    with redis.Redis(proxy.host, proxy.port, socket_timeout=1) as client:
        assert client.ping()
