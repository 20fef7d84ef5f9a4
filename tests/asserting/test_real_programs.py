"""Waits and assertions work with Python's http.server, redis, nginx and a C server, and no wait connects to them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pytest_sockets.asserting import checks, waits
from pytest_sockets.asserting.holder_text import who_holds
from pytest_sockets.errors import ProcessDied
from pytest_sockets.table.readers import reader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="starts Linux programs")

C_SERVER = r"""
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
int main(int argc, char **argv) {
    int one = 1, n = 1;
    struct pollfd fds[64];
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int s = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(s, (struct sockaddr *)&a, sizeof a) || listen(s, 8)) { perror("bind"); return 1; }
    fds[0] = (struct pollfd){s, POLLIN, 0};
    while (poll(fds, n, -1) > 0) {
        for (int i = n - 1; i > 0; i--) {
            char b[64];
            if (fds[i].revents && read(fds[i].fd, b, sizeof b) <= 0) { close(fds[i].fd); fds[i] = fds[--n]; }
        }
        if (fds[0].revents && n < 64) {
            struct sockaddr_in p; socklen_t l = sizeof p;
            fds[n++] = (struct pollfd){accept(s, (struct sockaddr *)&p, &l), POLLIN, 0};
            printf("%s:%d\n", inet_ntoa(p.sin_addr), ntohs(p.sin_port)); fflush(stdout);
        }
    }
}
"""


@pytest.fixture
def started(tmp_path: Path) -> Iterator:
    running: list[subprocess.Popen[bytes]] = []

    def start(*command: str, **popen) -> subprocess.Popen[bytes]:
        popen = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE} | popen
        running.append(subprocess.Popen(command, cwd=tmp_path, start_new_session=True, **popen))
        return running[-1]

    yield start
    for process in running:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.communicate()


def check_served(port: int, process: subprocess.Popen[bytes]) -> None:
    """Check that the process listens on loopback, that no wait connected, and that it ends without a trace."""
    checks.assert_listening(port, "127.0.0.1")
    checks.assert_loopback_only(port)
    checks.assert_no_connections(port)
    assert not reader().with_status("TIME_WAIT").on_port(port)
    assert process.pid in {holder.pid for holder in who_holds(port)}
    process.terminate()
    process.wait(10)
    waits.wait_not_listening(port)
    assert who_holds(port) == []


def test_http_server(port: int, started):
    process = started(sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1")
    waits.wait_listening(port, process=process, timeout=30)
    check_served(port, process)


@pytest.mark.skipif(not shutil.which("redis-server"), reason="no redis-server")
def test_redis(port: int, started):
    process = started("redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "")
    waits.wait_listening(port, process=process, timeout=30)
    assert "redis-server" in str(who_holds(port)[0])
    check_served(port, process)


@pytest.mark.skipif(not shutil.which("nginx"), reason="no nginx")
def test_nginx_has_a_master_and_a_worker(port: int, started, tmp_path: Path):
    config = tmp_path / "nginx.conf"
    config.write_text(
        f"daemon off; worker_processes 1; pid {tmp_path}/nginx.pid; error_log stderr;\n"
        f"events {{}} http {{ access_log off; server {{ listen 127.0.0.1:{port}; }} }}\n"
    )
    process = started(shutil.which("nginx"), "-p", str(tmp_path), "-c", str(config))
    waits.wait_listening(port, process=process, timeout=30)
    check_served(port, process)


@pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc")
def test_a_c_server_accepts_clients_whose_connections_can_be_asserted(port: int, started, tmp_path: Path):
    (tmp_path / "server.c").write_text(C_SERVER)
    subprocess.run(["gcc", "-o", "server", "server.c"], cwd=tmp_path, check=True)
    process = started("./server", str(port), stdout=subprocess.PIPE)
    waits.wait_listening(port, process=process, timeout=30)
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
    for client in clients:
        assert process.stdout.readline().decode().strip() == "{}:{}".format(*client.getsockname())
        assert (client.getsockname(), client.getpeername()) in reader().with_status("ESTABLISHED")
    with pytest.raises(
        AssertionError, match=rf"pid {process.pid} \(server\) has a connection in ESTABLISHED"
    ):
        checks.assert_no_connections(port, grace=0)
    for client in clients:
        client.close()
    waits.wait_no_connections(port)
    process.terminate()
    process.wait(10)
    waits.wait_not_listening(port)


@pytest.mark.skipif(not shutil.which("redis-server"), reason="no redis-server")
def test_a_server_that_cannot_bind_ends_the_wait_with_its_own_words(port: int, started):
    with socket.create_server(("127.0.0.1", port)):
        process = started(
            "redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--logfile", ""
        )
        process.wait(30)
    with pytest.raises(ProcessDied, match=f"process {process.pid} exited with status 1"):
        waits.wait_listening(port, process=process)
