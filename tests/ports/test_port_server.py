"""With PORTSERVER_ADDRESS set, ports come from portpicker's own port server; a fake one plays the broken ones."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path

import pytest

from pytest_sockets.errors import PortUnavailable
from pytest_sockets.ports.pool import PortPool
from pytest_sockets.ports.port_server import REST, PortServer
from pytest_sockets.ports.ranges import Kernel, Span, default_ranges, read_kernel
from pytest_sockets.waiting import wait_until

SCRIPT = Path(sysconfig.get_path("scripts")) / "portserver.py"
# The script asks for the current event loop, which Python 3.14 no longer makes.
WITH_LOOP = (
    "import asyncio, runpy, sys; asyncio.set_event_loop(asyncio.new_event_loop()); del sys.argv[0]; "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)
pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="portpicker's portserver.py is not installed")


@pytest.fixture
def start_server(tmp_path, block):
    """Starts a real port server for `count` ports; gives its address and the lowest port."""
    processes = []

    def start(count, *, abstract=False):
        low = block(count)
        address = f"@pytest-sockets-{low}" if abstract else str(tmp_path / "server")
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            WITH_LOOP,
            str(SCRIPT),
            "--portserver_address",
            address,
        ]
        pool = f"--portserver_static_pool={low}-{low + count - 1}"
        processes.append(subprocess.Popen([*command, pool], stderr=subprocess.DEVNULL))
        assert wait_until(lambda: answers(address), 10)
        return address, low

    yield start
    for process in processes:
        process.terminate()
        process.wait(10)


def answers(address):
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex("\0" + address[1:] if address[0] == "@" else address) == 0


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def pool_of():
    pools = []

    def make(address, **more):
        pools.append(PortPool(default_ranges(Kernel(Span(32768, 60999))), server=PortServer(address, **more)))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


@pytest.mark.parametrize("abstract", [False, True])
def test_ports_come_from_the_server(start_server, pool_of, abstract):
    address, low = start_server(5, abstract=abstract)
    pool = pool_of(address)
    assert sorted(pool.reserve().port for _ in range(5)) == list(range(low, low + 5))


def test_an_empty_server_is_an_error_that_says_so_never_another_port(start_server, pool_of):
    address, _ = start_server(2)
    pool = pool_of(address)
    pool.reserve()
    pool.reserve()
    with pytest.raises(
        PortUnavailable, match=f"{address} .PORTSERVER_ADDRESS. has no free port left for process"
    ):
        pool.reserve()


def test_a_server_that_does_not_answer_is_an_error_that_says_why(tmp_path, pool_of):
    missing = tmp_path / "none"
    with pytest.raises(
        PortUnavailable, match=f"{missing} .PORTSERVER_ADDRESS. does not answer: No such file"
    ):
        pool_of(str(missing)).reserve()
    with pytest.raises(PortUnavailable, match="does not answer: Connection refused"):
        pool_of("@pytest-sockets-nobody-listens-here").reserve()


def test_a_port_that_is_in_use_is_passed_over(start_server, pool_of):
    address, low = start_server(3)
    with socket.create_server(("127.0.0.1", low + 1)):
        pool = pool_of(address)
        assert {pool.reserve().port for _ in range(2)} == {low, low + 2}


def test_a_released_port_rests_before_it_is_used_again(start_server, pool_of):
    address, _low = start_server(3)
    clock = Clock()
    pool = pool_of(address, clock=clock)
    first = pool.reserve()
    first.release()
    clock.now += REST - 1
    assert pool.reserve().port != first.port
    clock.now += 1
    assert pool.reserve().port == first.port


def test_a_long_run_does_not_use_the_server_up(start_server, pool_of):
    """The server has no way to take a port back while the process lives."""
    address, low = start_server(3)
    pool = pool_of(address)
    for _ in range(20):
        reservation = pool.reserve()
        assert low <= reservation.port < low + 3
        reservation.release()


def test_two_processes_get_different_ports_from_the_server(start_server, pool_of):
    address, low = start_server(4)
    code = f"import portpicker; print(portpicker.get_port_from_port_server({address!r})); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        theirs = int(other.stdout.readline())
        pool = pool_of(address)
        assert {pool.reserve().port for _ in range(3)} == set(range(low, low + 4)) - {theirs}
        other.communicate("\n", timeout=10)


def test_a_block_from_the_server_is_consecutive_or_an_error(start_server, pool_of):
    address, low = start_server(6)
    pool = pool_of(address)
    ports = [reservation.port for reservation in pool.reserve_block(3)]
    assert ports == list(range(ports[0], ports[0] + 3))
    assert low <= ports[0] <= low + 3
    with pytest.raises(PortUnavailable):
        pool.reserve_block(4)
    assert pool.kept == tuple(sorted(ports, key=pool.kept.index))


class FakeServer:
    """Answers each request with the given pieces, `pause` seconds apart. With no pieces it accepts and stays silent."""

    def __init__(self, *pieces, pause=0.0):
        self.address = f"@pytest-sockets-fake-{os.getpid()}-{id(self)}"
        self._pieces = pieces
        self._pause = pause
        self._stop = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind("\0" + self.address[1:])
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                client.recv(100)
                for piece in self._pieces:
                    try:
                        client.sendall(piece)
                    except OSError:
                        break
                    if self._stop.wait(self._pause):
                        break
                if not self._pieces:
                    self._stop.wait()

    def close(self):
        self._stop.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


@pytest.fixture
def fake_server():
    with contextlib.ExitStack() as stack:

        def make(*pieces, **settings):
            server = FakeServer(*pieces, **settings)
            stack.callback(server.close)
            return server.address

        yield make


@pytest.mark.parametrize("pieces", [(), (b"1",) * 50], ids=["silent", "dripping"])
def test_a_server_that_does_not_finish_its_answer_is_an_error_after_the_time_limit(
    fake_server, pool_of, pieces
):
    address = fake_server(*pieces, pause=0.05)
    began = time.monotonic()
    with pytest.raises(
        PortUnavailable, match=r"did not finish its answer within 0\.3 s\. Restart it, or unset"
    ):
        pool_of(address, timeout=0.3).reserve()
    assert 0.3 <= time.monotonic() - began < 3


def test_an_answer_in_pieces_is_read_to_its_end(fake_server, pool_of, block):
    """The first piece alone would be another port's number."""
    port = str(block(1)).encode()
    address = fake_server(port[:1], port[1:] + b"\n", pause=0.05)
    assert pool_of(address).reserve().port == int(port)


@pytest.mark.parametrize(
    "answer",
    [b"-5\n", b"99999999999\n", b"65536\n", b"4567", b"port 4567\n", b"4 567\n", b"\xff\n", b"1" * 5000],
)
def test_an_answer_that_is_not_a_port_is_an_error_that_quotes_it(fake_server, pool_of, answer):
    with pytest.raises(PortUnavailable, match=r"answered b'.*, which is not a port number") as error:
        pool_of(fake_server(answer)).reserve()
    assert len(str(error.value)) < 500


def test_a_privileged_port_is_refused(fake_server, pool_of):
    lowest = read_kernel().unprivileged_start
    if lowest < 2:
        pytest.skip("this system has no privileged ports")
    with pytest.raises(PortUnavailable, match=rf"answered 22, a privileged port \(below {lowest}\)"):
        pool_of(fake_server(b"22\n")).reserve()


@pytest.mark.parametrize("answer", [b"0\n", b"\n"])
def test_a_server_without_ports_is_an_error_that_says_so(fake_server, pool_of, answer):
    with pytest.raises(PortUnavailable, match="has no free port left"):
        pool_of(fake_server(answer)).reserve()


def test_a_run_with_a_silent_server_ends_with_an_error(suite, fake_server):
    suite.write(test_a="def test_a(free_port): pass")
    done = suite.run(environment={"PORTSERVER_ADDRESS": fake_server()}, timeout=30)
    assert done.outcomes == {"error": 1}
    assert "did not finish its answer within 5 s" in done.text


def test_a_plugin_that_blocks_sockets_does_not_block_the_port_server(suite, start_server):
    address, low = start_server(2)
    suite.write(test_a=f"def test_a(free_port): assert free_port in range({low}, {low + 2})")
    done = suite.run(
        "--disable-socket", plugins=("pytest_socket",), environment={"PORTSERVER_ADDRESS": address}
    )
    assert done.outcomes == {"passed": 1}, done.text
