"""Code under test closes descriptors that are not its own: the hub makes its own anew, and every server goes on."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import select
import socket
import subprocess
import sys

import pytest

from pytest_sockets import EchoServer, FaultProxy, ScriptedServer, ServerFault
from pytest_sockets.servers import current_hub as current_hub_module
from pytest_sockets.servers import hub as hub_module
from pytest_sockets.servers.current_hub import current_hub
from pytest_sockets.servers.poller import SelectorPoller

linux = pytest.mark.skipif(sys.platform != "linux", reason="epoll(7)")


def own_descriptors():
    """The hub's epoll instance and wake-up sockets."""
    hub = current_hub()
    return {
        "epoll": [hub._poller._epoll.fileno()],
        "wake": [fd for fd, _ in hub._wake_up.identities],
        "both": [hub._poller._epoll.fileno(), *(fd for fd, _ in hub._wake_up.identities)],
    }


def ends(server) -> bool:
    """Whether a new client gets nothing but an end or a reset."""
    try:
        with socket.create_connection(server.address, timeout=10) as client:
            return client.recv(1) == b""
    except ConnectionResetError:
        return True


def reuse(fds):
    """Close each and put another file in its place, as the next socket() or epoll_create() would."""
    others = [select.epoll() for _ in fds]
    for fd, other in zip(fds, others, strict=True):
        os.dup2(other.fileno(), fd)
        other.close()
    return fds


@pytest.fixture
def private_hub(monkeypatch):
    """A hub of this test alone: what is done to it harms no session server."""
    monkeypatch.setattr(current_hub_module, "_current", None)
    yield current_hub()
    monkeypatch.setattr(hub_module, "CHECK_SECONDS", 1.0)


@linux
@pytest.mark.usefixtures("private_hub")
class TestForeignClose:
    @pytest.mark.parametrize("which", ["epoll", "wake", "both"])
    @pytest.mark.parametrize("reused", [False, True])
    def test_a_new_server_works_and_so_does_the_old_one(self, clients, which, reused):
        old = EchoServer()
        peer = old.connect()
        assert clients.exchange(peer, b"before") == b"before"
        fds = own_descriptors()[which]
        if reused:
            reuse(fds)
        else:
            for fd in fds:
                os.close(fd)
        try:
            with EchoServer() as new:
                assert clients.exchange(new.connect(), b"new") == b"new"
                assert clients.exchange(peer, b"kept alive") == b"kept alive"
                assert clients.exchange(old.connect(), b"another") == b"another"
            old.stop()
        finally:
            if reused:
                for fd in fds:
                    os.fstat(fd)  # the files that took the numbers were not closed
                    os.close(fd)

    def test_a_server_that_nobody_calls_heals_by_itself(self, clients, monkeypatch):
        monkeypatch.setattr(hub_module, "CHECK_SECONDS", 0.05)
        with EchoServer() as server:
            peer = socket.create_connection(server.address)
            clients.exchange(peer, b"x")
            fds = reuse(own_descriptors()["both"])
            peer.settimeout(10)
            assert clients.exchange(peer, b"again") == b"again"
            peer.close()
        for fd in fds:
            os.close(fd)

    def test_a_connections_descriptor_that_is_gone_fails_its_server_only(self, clients):
        broken, other = EchoServer(), EchoServer()
        clients.exchange(broken.connect(), b"x")
        peer = other.connect()
        clients.exchange(peer, b"x")
        (connection,) = broken._engine.connections.values()
        os.close(connection.sock.fileno())
        for fd in own_descriptors()["epoll"]:
            os.close(fd)
        assert clients.exchange(other.connect(), b"y") == b"y"
        assert clients.exchange(peer, b"z") == b"z"
        other.stop()
        broken.stop()
        with pytest.raises(
            ServerFault, match=r"other code closed descriptor \d+ of connection 127\.0\.0\.1:"
        ):
            broken.check()

    def test_a_poll_that_fails_once_is_tried_again(self, clients, monkeypatch):
        """As select(2) on Windows does when another thread closes one of its sockets."""
        monkeypatch.setattr(current_hub_module, "_current", None)
        monkeypatch.setattr(hub_module, "choose_poller", SelectorPoller)
        real, failures = SelectorPoller.poll, []

        def poll(self, timeout, most):
            ready = real(self, timeout, most)
            if len(failures) < 3:
                failures.append(1)
                raise OSError(10038, "An operation was attempted on something that is not a socket")
            return ready

        monkeypatch.setattr(SelectorPoller, "poll", poll)
        with EchoServer() as server:
            for _ in range(5):
                assert clients.exchange(server.connect(), b"x") == b"x"
        assert len(failures) == 3


@linux
@pytest.mark.filterwarnings("always")
@pytest.mark.skipif(sys.version_info[:2] in ((3, 11), (3, 13)), reason="3.11 never warns, 3.13 always")
def test_a_fork_beside_a_server_does_not_warn():
    """In a process of its own: pytest-xdist and others have threads, too."""
    script = (
        "import os, sys, warnings; from pytest_sockets import EchoServer, ScriptedServer\n"
        "with EchoServer() as server, ScriptedServer(lambda conn: conn.send(b'x')) as scripted, "
        "warnings.catch_warnings(record=True) as seen:\n"
        "    warnings.simplefilter('always')\n"
        "    assert scripted.connect().recv(2) == b'x'; scripted._engine._all_ended(5)\n"
        "    for _ in range(20):\n"
        "        client = server.connect(); client.sendall(b'x'); assert client.recv(1) == b'x'\n"
        "        pid = os.fork()\n"
        "        if not pid: os._exit(0)\n"
        "        os.waitpid(pid, 0)\n"
        "    client.sendall(b'y'); assert client.recv(1) == b'y'\n"
        "    assert not [one for one in seen if 'fork' in str(one.message)], seen[0].message\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@linux
class TestNoDescriptor:
    def test_a_proxy_closes_and_records_the_client_that_it_cannot_serve(self, tcp_echo_server, clients):
        with FaultProxy(tcp_echo_server) as proxy:
            first = socket.create_connection(proxy.address)
            clients.exchange(first, b"x")
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            client = socket.socket()
            fillers = []
            highest = max(int(fd) for fd in os.listdir("/proc/self/fd")) + 3
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
            try:
                with contextlib.suppress(OSError):
                    while True:
                        fillers.append(os.dup(client.fileno()))
                os.close(fillers.pop())  # one for accept(2), none for the service
                client.connect(proxy.address)
                client.settimeout(10)
                with pytest.raises(ConnectionResetError):
                    client.recv(1)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                for fd in fillers:
                    os.close(fd)
            assert clients.exchange(first, b"still served") == b"still served"
            record = proxy.connections[-1]
            assert record.closed_by == "server"
            assert record.detail.startswith("not served: ")
            assert "Too many open files" in record.detail
            with pytest.raises(ServerFault, match="could not serve an accepted connection"):
                proxy.check()
            first.close()
            client.close()

    def test_a_client_that_is_gone_at_accept_is_no_failure(self, monkeypatch, clients):
        """macOS answers setsockopt(2) with EINVAL then."""
        from pytest_sockets.servers.stream_engine import StreamEngine

        real, gone = StreamEngine._prepared, []

        def prepared(self, sock):
            if not gone:
                gone.append(1)
                raise OSError(errno.EINVAL, "Invalid argument")
            return real(self, sock)

        monkeypatch.setattr(StreamEngine, "_prepared", prepared)
        with EchoServer() as server:
            assert ends(server)
            assert clients.exchange(server.connect(), b"x") == b"x"
            assert len(server.connections) == 1


def test_a_handler_that_cannot_get_a_thread_fails_its_server(monkeypatch):
    def refuse(job):
        raise RuntimeError("can't start new thread")

    from pytest_sockets.servers.handler_threads import handler_threads

    monkeypatch.setattr(handler_threads, "run", refuse)
    server = ScriptedServer(lambda conn: conn.send(b"x"))
    assert ends(server)
    server.stop()
    with pytest.raises(ServerFault, match="can't start new thread"):
        server.check()
