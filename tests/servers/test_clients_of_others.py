"""Clients that other people wrote see what ours sees: asyncio, trio, uvloop, httpx, requests, curl, and one in C."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess

import httpx
import pytest
import requests
import trio

from pytest_sockets import faults


def http_reply(data: bytes) -> bytes | None:
    """The shortest HTTP server: an answer to each request."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" if data.endswith(b"\r\n\r\n") else None


async def asyncio_exchange(address, data: bytes) -> bytes:
    """One echo by streams."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(data)
    try:
        return await reader.readexactly(len(data))
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def test_asyncio(tcp_echo_server):
    """Streams, and a reset as ConnectionResetError."""
    assert asyncio.run(asyncio_exchange(tcp_echo_server.address, b"x" * 200_000)) == b"x" * 200_000
    with tcp_echo_server.faults(faults.Reset(after=10)), pytest.raises(ConnectionResetError):
        asyncio.run(asyncio_exchange(tcp_echo_server.address, b"x" * 100))
    with tcp_echo_server.faults(faults.Close(after=10)), pytest.raises(asyncio.IncompleteReadError) as caught:
        asyncio.run(asyncio_exchange(tcp_echo_server.address, b"x" * 100))
    assert len(caught.value.partial) == 10


def test_uvloop(tcp_echo_server):
    """A loop of its own C code."""
    uvloop = pytest.importorskip("uvloop")
    loop = uvloop.new_event_loop()
    try:
        data = b"x" * 200_000
        assert loop.run_until_complete(asyncio_exchange(tcp_echo_server.address, data)) == data
    finally:
        loop.close()


def test_trio(tcp_echo_server):
    """Memory, a hundred tasks, and a reset as BrokenResourceError."""

    async def exchange(answers: list[bytes], number: int) -> None:
        async with await trio.open_tcp_stream(*tcp_echo_server.address) as stream:
            await stream.send_all(b"%03d" % number)
            answers.append(await stream.receive_some(3))

    async def main() -> list[bytes]:
        answers: list[bytes] = []
        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(exchange, answers, number)
        return answers

    assert sorted(trio.run(main)) == [b"%03d" % number for number in range(100)]
    with tcp_echo_server.faults(faults.Reset(after=1)), pytest.raises(trio.BrokenResourceError):
        trio.run(read_until_broken, tcp_echo_server.address)


async def read_until_broken(address) -> None:
    """Send two bytes, read for ever."""
    async with await trio.open_tcp_stream(*address) as stream:
        await stream.send_all(b"ab")
        while await stream.receive_some(1):
            pass


def test_httpx_over_tls(echo_server_factory, sockets_tls):
    """A real HTTPS client with the CA's context; an expired certificate is its ConnectError."""
    server = echo_server_factory("tls", reply=http_reply)
    with httpx.Client(verify=sockets_tls.client_context, trust_env=False) as client:
        assert client.get(server.url("https")).text == "hello"
    with (
        server.faults(faults.ExpiredCertificate()),
        httpx.Client(verify=sockets_tls.client_context, trust_env=False) as client,
        pytest.raises(httpx.ConnectError, match="certificate has expired"),
    ):
        client.get(server.url("https"))


def test_httpx_retries_and_timeouts(echo_server_factory):
    """A reset is a ReadError, a hang a ReadTimeout, half an answer a RemoteProtocolError."""
    server = echo_server_factory(reply=http_reply)
    with httpx.Client(trust_env=False, timeout=0.2) as client:
        for fault, error in (
            (faults.Reset(), httpx.ReadError),
            (faults.Hang(), httpx.ReadTimeout),
            (faults.Close(after=41), httpx.RemoteProtocolError),
        ):
            with server.faults(fault), pytest.raises(error):
                client.get(server.url())
        with server.refuse(), pytest.raises(httpx.ConnectError):
            client.get(server.url())
        assert client.get(server.url()).text == "hello"


def test_requests_retries_through_resets(echo_server_factory):
    """urllib3's Retry gets through after two resets, and not through three."""
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    for times, works in ((2, True), (3, False)):
        server = echo_server_factory(reply=http_reply, faults=[faults.Reset(times=times)])
        with requests.Session() as session:
            session.trust_env = False
            session.mount("http://", HTTPAdapter(max_retries=Retry(total=2, backoff_factor=0)))
            if works:
                assert session.get(server.url(), timeout=5).text == "hello"
            else:
                with pytest.raises(requests.ConnectionError):
                    session.get(server.url(), timeout=5)
        assert len(server.connections) == 3


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_curl(echo_server_factory, sockets_tls):
    """Exit statuses as in its manual: 0, 56 (receive failure), 18 (partial), 60 (certificate), 28 (timeout)."""

    def curl(server, *options: str) -> int:
        scheme = "https" if server.transport == "tls" else "http"
        done = subprocess.run(
            ["curl", "--silent", "--noproxy", "*", *options, server.url(scheme)],
            capture_output=True,
            timeout=20,
        )
        return done.returncode if done.returncode or done.stdout != b"hello" else 0

    plain, tls = echo_server_factory(reply=http_reply), echo_server_factory("tls", reply=http_reply)
    assert curl(plain) == 0
    assert curl(tls, "--cacert", str(sockets_tls.ca_file)) == 0
    for fault, status in ((faults.Reset(), 56), (faults.LimitData(41), 18)):
        with plain.faults(fault):
            assert curl(plain) == status
    with plain.faults(faults.Hang()):
        assert curl(plain, "--max-time", "0.2") == 28
    with tls.faults(faults.UntrustedCA()):
        assert curl(tls, "--cacert", str(sockets_tls.ca_file)) == 60


C_CLIENT = r"""
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Sends argv[2], reads until the end or an error; prints what came and errno. */
int main(int argc, char **argv) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char buffer[4096];
    ssize_t size, total = 0;
    if (connect(fd, (struct sockaddr *)&address, sizeof address)) return 1;
    if (send(fd, argv[2], strlen(argv[2]), 0) < 0) return 2;
    shutdown(fd, SHUT_WR);
    errno = 0;
    while ((size = recv(fd, buffer + total, sizeof buffer - total, 0)) > 0) total += size;
    printf("%.*s|%s", (int)total, buffer, size < 0 && errno == ECONNRESET ? "reset" : size < 0 ? "error" : "end");
    return 0;
}
"""


@pytest.fixture(scope="module")
def c_client(tmp_path_factory):
    """A client in C: (port, text) -> what it printed."""
    if not shutil.which("gcc"):
        pytest.skip("needs gcc")
    folder = tmp_path_factory.mktemp("c")
    (folder / "client.c").write_text(C_CLIENT)
    subprocess.run(["gcc", "-O1", "-o", folder / "client", folder / "client.c"], check=True, timeout=60)

    def run(port: int, text: str) -> str:
        done = subprocess.run(
            [folder / "client", str(port), text], capture_output=True, text=True, timeout=20, check=True
        )
        return done.stdout

    return run


def test_a_client_in_c(tcp_echo_server, c_client):
    """No Python, no library: an echo, an end, a reset."""
    assert c_client(tcp_echo_server.port, "hello") == "hello|end"
    with tcp_echo_server.faults(faults.Close(after=2)):
        assert c_client(tcp_echo_server.port, "hello") == "he|end"
    with tcp_echo_server.faults(faults.Reset(after=2)):
        assert c_client(tcp_echo_server.port, "hello") == "he|reset"


def test_a_thousand_asyncio_clients_at_once(echo_server_factory):
    """Each gets its own bytes back, and each has its own record."""
    server = echo_server_factory(backlog=1024)

    async def main() -> list[bytes]:
        return await asyncio.gather(
            *(asyncio_exchange(server.address, b"%04d" % number) for number in range(1000))
        )

    assert asyncio.run(main()) == [b"%04d" % number for number in range(1000)]
    assert len({record.socket_tuple for record in server.wait_closed()}) == 1000


def test_ssl_sockets_of_the_standard_library(tls_echo_server, sockets_tls):
    """Non-blocking use by asyncio's TLS, with an orderly end."""

    async def main() -> bytes:
        reader, writer = await asyncio.open_connection(
            *tls_echo_server.address, ssl=sockets_tls.client_context, server_hostname="localhost"
        )
        writer.write(b"secret")
        answer = await reader.readexactly(6)
        writer.close()
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            await writer.wait_closed()
        return answer

    assert asyncio.run(main()) == b"secret"
    assert tls_echo_server.wait_closed()[0].closed_by == "client"


def test_socketpair_like_use_by_makefile(tcp_echo_server):
    """Buffered file objects over the client."""
    with socket.create_connection(tcp_echo_server.address, 5) as client, client.makefile("rwb") as stream:
        stream.write(b"line\n")
        stream.flush()
        assert stream.readline() == b"line\n"
