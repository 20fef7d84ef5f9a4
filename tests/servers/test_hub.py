"""The one thread: it never makes a caller wait for ever, it belongs to one process, and what goes wrong in it is told."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from pytest_sockets.errors import ServerFault
from pytest_sockets.servers import hub as hub_module
from pytest_sockets.servers.current_hub import current_hub
from pytest_sockets.servers.echo import EchoServer
from pytest_sockets.servers.hub import HubStuck

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def in_child(work) -> int:
    """Run `work` in a forked child; its exit status: 0 if `work` returned true."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            status = 0 if work() else 2
        finally:
            os._exit(status)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return -9


def test_a_reply_that_blocks_is_named_after_five_seconds(monkeypatch):
    """The call gives up, says what the thread is busy with and which connections it waits for; the next server works."""
    monkeypatch.setattr(hub_module, "PATIENCE", 0.3)
    release = threading.Event()
    server = EchoServer(reply=lambda data: release.wait(20) and data)
    client = server.connect()
    client.sendall(b"x")
    (record,) = server.wait_connections(1)
    while not record.bytes_in:
        time.sleep(0.001)
    with pytest.raises(HubStuck) as caught:
        server.stop()
    text = str(caught.value)
    assert text.startswith(
        "the thread of the echo servers did not answer for 0.3 s: it is busy with connection 127.0.0.1:"
    )
    assert f"tcp echo server {server.host}:{server.port}: it waits for these connections:" in text
    assert f"  {record}" in text
    assert "likely cause: a `reply` function that blocks" in text
    with EchoServer(port=server.port) as other:  # the port is free although the old thread is still stuck
        assert other.connect().send(b"y") == 1
    release.set()


def test_the_real_patience_is_five_seconds():
    """What the documentation says."""
    assert hub_module.PATIENCE == 5.0


def test_calls_from_the_hubs_own_thread_do_not_wait_for_it(clients):
    """A `reply` may break its own server."""
    server = EchoServer(reply=lambda data: server.refuse() and data)
    assert clients.exchange(server.connect(), b"x") == b"x"
    with pytest.raises(ConnectionRefusedError):
        server.connect()
    server.stop()


def test_servers_are_started_and_stopped_from_many_threads_while_the_hub_is_busy(clients):
    """No call is lost and none takes long, whichever thread holds the lock."""
    with EchoServer() as busy:
        flood = busy.connect()
        stop, failures, times = threading.Event(), [], []

        def push() -> None:
            while not stop.is_set():
                clients.exchange(flood, b"x" * 65536)

        def churn() -> None:
            try:
                for _ in range(50):
                    began = time.perf_counter()
                    with EchoServer() as server:
                        assert clients.exchange(server.connect(), b"hello") == b"hello"
                    times.append(time.perf_counter() - began)
            except BaseException as error:
                failures.append(error)

        pusher = threading.Thread(target=push)
        workers = [threading.Thread(target=churn) for _ in range(4)]
        for thread in (pusher, *workers):
            thread.start()
        for thread in workers:
            thread.join(30)
        stop.set()
        pusher.join(10)
    assert failures == []
    assert len(times) == 200
    assert max(times) < 4


@forks
def test_a_forked_child_gets_its_own_hub(tcp_echo_server, clients):
    """Servers made in the child work, and the parent's go on."""
    parents = current_hub()

    def work() -> bool:
        with EchoServer() as server:
            return clients.exchange(server.connect(), b"child") == b"child" and current_hub() is not parents

    assert in_child(work) == 0
    assert clients.exchange(tcp_echo_server.connect(), b"parent") == b"parent"


@forks
def test_a_forked_child_does_not_keep_the_parents_port(clients):
    """The parent's port is free when the parent stops, although the child lives."""
    server = EchoServer()
    peer = server.connect()
    clients.exchange(peer, b"x")
    (read, write), (lives, says_so) = os.pipe(), os.pipe()
    pid = os.fork()
    if not pid:
        os.close(write)
        os.write(says_so, b"x")
        os.read(read, 1)  # until the parent says so
        os._exit(0)
    os.close(read)
    os.close(says_so)
    try:
        assert os.read(lives, 1) == b"x"
        os.close(lives)
        assert clients.exchange(peer, b"still served by the parent") == b"still served by the parent"
        port = server.port
        server.stop()
        with EchoServer(port=port) as again:
            assert clients.exchange(again.connect(), b"y") == b"y"
    finally:
        os.write(write, b"x")
        os.close(write)
        os.waitpid(pid, 0)


@forks
def test_in_a_forked_child_the_parents_server_says_whose_it_is(tcp_echo_server):
    """No silent nothing; stop() is harmless there, as teardown code may call it."""

    def work() -> bool:
        tcp_echo_server.stop()
        try:
            tcp_echo_server.refuse()
        except ServerFault as error:
            return f"was started by process {os.getppid()}" in str(error)
        return False

    assert in_child(work) == 0
    tcp_echo_server.connect()


@forks
def test_a_server_can_be_made_in_a_multiprocessing_child():
    """fork start method: the child's servers answer the parent's clients."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=_serve_in_child, args=(there,))
    process.start()
    address = here.recv()
    import socket

    with socket.create_connection(address, 5) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
    here.send("stop")
    process.join(10)
    assert process.exitcode == 0
    here.close()
    there.close()


def _serve_in_child(pipe) -> None:
    with EchoServer() as server:
        pipe.send(server.address)
        pipe.recv()


def test_the_process_ends_with_servers_running():
    """Nobody has to stop anything for the interpreter to exit, cleanly and quietly."""
    code = "from pytest_sockets.servers.echo import EchoServer; s = EchoServer(); s.connect().send(b'x'); print('end')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


def test_without_epoll_the_standard_selector_serves(tmp_path):
    """Other systems have no epoll: the same behaviour through `selectors`."""
    script = tmp_path / "selector.py"
    script.write_text(
        textwrap.dedent(
            """
            import selectors
            from pytest_sockets import originals
            originals.epoll = None
            originals.default_selector = selectors.SelectSelector
            from pytest_sockets import faults
            from pytest_sockets.servers.echo import EchoServer
            from pytest_sockets.servers.proxy import FaultProxy
            for transport in ("tcp", "udp", "unix", "tls"):
                with EchoServer(transport) as server:
                    client = server.connect()
                    client.send(b"hello")
                    assert client.recv(5) == b"hello"
                    if transport != "tls":
                        with server.pause():
                            client.send(b"later")
                    else:
                        client.send(b"later")
                    assert client.recv(5) == b"later"
            with EchoServer(faults=[faults.Latency(0.01), faults.Reset(after=3)]) as server, FaultProxy(server) as proxy:
                client = proxy.connect()
                client.sendall(b"12345")
                assert client.recv(5) == b"123"
                try:
                    client.recv(5)
                except ConnectionResetError:
                    print("reset")
            """
        )
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.stdout, done.stderr) == ("reset\n", "")


def test_too_few_descriptors_fail_the_server_and_do_not_spin(tmp_path):
    """EMFILE at accept is told with the likely cause; the thread stays idle and serves again when descriptors are free."""
    script = tmp_path / "few.py"
    script.write_text(
        textwrap.dedent(
            """
            import resource, socket, time
            from pytest_sockets.errors import ServerFault
            from pytest_sockets.servers.echo import EchoServer
            server = EchoServer()
            server.connect().close()
            server.wait_closed()
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            client = socket.socket()
            used = client.fileno() + 1
            resource.setrlimit(resource.RLIMIT_NOFILE, (used, hard))
            client.settimeout(5)
            client.connect(server.address)
            client.sendall(b"x")
            before = time.process_time()
            try:
                server.wait_connections(2)
            except ServerFault as error:
                print(str(error).splitlines()[0].split(" could ")[1])
            time.sleep(0.3)
            assert time.process_time() - before < 0.2, "it spins"
            resource.setrlimit(resource.RLIMIT_NOFILE, (used + 50, hard))
            assert client.recv(1) == b"x"
            """
        )
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.stdout, done.stderr) == ("not accept a connection: Too many open files\n", "")
