"""The same faults in front of a real redis, if one is installed."""

import shutil
import subprocess

import pytest

from pytest_sockets import faults

redis = pytest.importorskip("redis")


@pytest.fixture(scope="module")
def redis_address(free_port_factory, tmp_path_factory):
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is not installed")
    from pytest_sockets import wait_listening

    port = free_port_factory("tcp")
    process = subprocess.Popen(
        ["redis-server", "--port", str(port), "--save", "", "--dir", tmp_path_factory.mktemp("redis")],
        stdout=subprocess.DEVNULL,
    )
    wait_listening(port, process=process)
    yield "127.0.0.1", port
    process.terminate()
    process.wait(10)


def test_a_pooled_connection_that_broke_is_replaced(fault_proxy_factory, redis_address):
    proxy = fault_proxy_factory(redis_address)
    with redis.Redis(proxy.host, proxy.port, socket_timeout=5) as client:
        client.set("colour", "blue")
        proxy.reset_all()  # as a load balancer does to idle connections
        assert client.get("colour") == b"blue"


def test_a_slow_network_is_within_the_timeout(fault_proxy_factory, redis_address):
    proxy = fault_proxy_factory(redis_address, faults=[faults.Latency(0.05, jitter=0.01)])
    with redis.Redis(proxy.host, proxy.port, socket_timeout=1) as client:
        assert client.ping()
