"""The same faults between a real client and a real service: redis and nginx, as Debian packages them."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time

import httpx
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from pytest_sockets import faults
from pytest_sockets.errors import QueryError, SettingError
from pytest_sockets.servers.proxy import FaultProxy


def free_port() -> int:
    """Free a moment ago: enough for a service that says so if it is not."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_ready(process: subprocess.Popen, port: int) -> None:
    """Until somebody listens there; the service's own words if it ends first."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"the service ended: {process.stdout.read()}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    pytest.fail("the service did not start")


def serve(command: list[str], port: int):
    """Run a service until the module ends."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_ready(process, port)
        yield ("127.0.0.1", port)
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


@pytest.fixture(scope="module")
def redis_address(tmp_path_factory):
    """A real redis-server."""
    if not shutil.which("redis-server"):
        pytest.skip("needs redis-server")
    port = free_port()
    folder = tmp_path_factory.mktemp("redis")
    yield from serve(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)], port
    )


NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; root {folder}/www; }}
}}
"""


@pytest.fixture(scope="module")
def nginx_address(tmp_path_factory):
    """A real nginx with one page of 300,000 bytes."""
    nginx = shutil.which("nginx")
    if not nginx:
        pytest.skip("needs nginx")
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    folder.chmod(0o755)
    (folder / "www").mkdir()
    (folder / "www" / "page").write_bytes(b"0123456789" * 30_000)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
    yield from serve([nginx, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")], port)


@pytest.fixture
def redis_client():
    """Makes redis-py clients for a proxy; closed after the test."""
    made = []

    def make(proxy, **settings) -> redis.Redis:
        client = redis.Redis(proxy.host, proxy.port, socket_timeout=2, **settings)
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()
        client.connection_pool.disconnect()


NO_RETRY = {"retry": Retry(NoBackoff(), 0)}


def test_redis_through_the_proxy(fault_proxy_factory, redis_address, redis_client):
    """Without faults nobody notices it."""
    client = redis_client(fault_proxy_factory(redis_address))
    client.set("key", b"x" * 500_000)
    assert client.get("key") == b"x" * 500_000


def test_redis_retries_through_resets(fault_proxy_factory, redis_address, redis_client):
    """Two resets and three tries work; without retries the first reset is the application's."""
    proxy = fault_proxy_factory(redis_address)
    patient = redis_client(proxy, retry=Retry(NoBackoff(), 3), retry_on_error=[redis.ConnectionError])
    hasty = redis_client(proxy, **NO_RETRY)
    patient.set("n", 1)
    hasty.get("n")
    with proxy.faults(faults.Reset(times=2)):
        assert patient.incr("n") == 2
    with proxy.faults(faults.Reset()), pytest.raises(redis.ConnectionError):
        hasty.get("n")


def test_redis_answers_late(fault_proxy_factory, redis_address, redis_client, stopwatch):
    """Latency between client and service."""
    client = redis_client(fault_proxy_factory(redis_address, faults=[faults.Latency(0.05)]), **NO_RETRY)
    client.ping()
    watch = stopwatch()
    client.ping()
    assert 0.05 <= watch.seconds < 2


def test_redis_hangs(fault_proxy_factory, redis_address):
    """socket_timeout is what saves the client."""
    proxy = fault_proxy_factory(redis_address, faults=[faults.Hang(direction="out")])
    with (
        redis.Redis(proxy.host, proxy.port, socket_timeout=0.2, **NO_RETRY) as client,
        pytest.raises(redis.TimeoutError),
    ):
        client.ping()
    assert b"PING" in proxy.received or b"HELLO" in proxy.received


def test_nginx_page_cut_short(fault_proxy_factory, nginx_address):
    """Half a page is an error for a client that counts."""
    proxy = fault_proxy_factory(nginx_address)
    with httpx.Client(trust_env=False, timeout=5) as client:
        assert len(client.get(proxy.url() + "/page").content) == 300_000
        with (
            proxy.faults(faults.LimitData(100_000)),
            pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"),
        ):
            client.get(proxy.url() + "/page")
    assert {record.closed_by for record in proxy.wait_closed()} <= {"client", "fault:LimitData", "server"}


def test_nginx_behind_a_slow_line(fault_proxy_factory, nginx_address, stopwatch, within):
    """Bandwidth within 5 %."""
    proxy = fault_proxy_factory(nginx_address, faults=[faults.Bandwidth(1_000_000)])
    with httpx.Client(trust_env=False, timeout=5) as client:

        def fetch() -> float:
            watch = stopwatch()
            assert len(client.get(proxy.url() + "/page").content) == 300_000
            return watch.seconds

        assert within(0.315, fetch) == pytest.approx(0.3, rel=0.05)


def test_nginx_sees_a_damaged_request(fault_proxy_factory, nginx_address):
    """direction="in" breaks what the service gets."""
    proxy = fault_proxy_factory(nginx_address, faults=[faults.Corrupt(1, direction="in")])
    with socket.create_connection(proxy.address, 5) as client:
        client.sendall(b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        assert not client.recv(100).startswith(b"HTTP/1.1 200")


def test_a_service_that_refuses_is_a_reset(fault_proxy_factory):
    """The record says why."""
    port = free_port()
    proxy = fault_proxy_factory(("127.0.0.1", port))
    with pytest.raises(ConnectionResetError):
        proxy.connect().recv(1)
    (record,) = proxy.wait_closed()
    assert (record.closed_by, record.detail) == ("server", "the service: Connection refused")


def test_each_side_feels_the_others_end(fault_proxy_factory, tcp_echo_server, clients):
    """A half close passes through and the rest comes; a reset by the service is a reset here."""
    proxy = fault_proxy_factory(tcp_echo_server)
    client = proxy.connect()
    client.sendall(b"x" * 1_000_000)
    client.shutdown(socket.SHUT_WR)
    assert clients.read(client, 2_000_000) == b"x" * 1_000_000
    assert proxy.wait_closed()[0].closed_by == "client"
    other = proxy.connect()
    clients.exchange(other, b"y")
    tcp_echo_server.reset_all()
    with pytest.raises(ConnectionResetError):
        other.recv(1)


def test_the_service_feels_a_client_that_does_not_read(fault_proxy_factory, echo_server_factory, clients):
    """A proxy is no store: it holds about a mebibyte, not the service's whole answer."""
    service = echo_server_factory(reply=lambda data: b"x" * 50_000_000)
    proxy = fault_proxy_factory(service)
    client = proxy.connect()
    client.sendall(b"?")
    (record,) = service.wait_connections(1)
    while record.bytes_out == 0:
        time.sleep(0.001)
    time.sleep(0.2)
    assert record.bytes_out < 30_000_000
    assert clients.read(client, 50_000_000) == b"x" * 50_000_000


def test_stopping_the_proxy_frees_the_service(fault_proxy_factory, tcp_echo_server, clients):
    """No connection to the service stays behind."""
    proxy = fault_proxy_factory(tcp_echo_server)
    clients.exchange(proxy.connect(), b"x")
    proxy.stop()
    tcp_echo_server.wait_closed()


@pytest.mark.parametrize("form", ["tuple", "text", "server", "unix"])
def test_a_service_is_named_in_many_ways(fault_proxy_factory, echo_server_factory, clients, form):
    """(host, port), "host:port", a server of ours, a unix path."""
    service = echo_server_factory("unix" if form == "unix" else "tcp")
    named = {
        "tuple": service.address,
        "text": f"{service.host}:{service.transport != 'unix' and service.port}",
        "server": service,
        "unix": service.address,
    }[form]
    assert clients.exchange(fault_proxy_factory(named).connect(), b"x") == b"x"


@pytest.mark.parametrize("wrong", [6379, "", "a\0b", ("127.0.0.1",), (5, 80), None])
def test_a_bad_address_is_refused(wrong):
    """With the forms that would do."""
    with pytest.raises(SettingError, match="is not the address of a service; use"):
        FaultProxy(wrong)


@pytest.mark.parametrize(
    "wrong", [("127.0.0.1", 0), ("127.0.0.1", 70000), "127.0.0.1:0", "127.0.0.1:70000", ("127.0.0.1", "80")]
)
def test_a_bad_port_of_a_service_is_refused(wrong):
    """Nothing ever listens there, so no client would get through."""
    with pytest.raises(QueryError, match=r"is not a valid port|port 0 means"):
        FaultProxy(wrong)
