"""One conformance suite for both readers: the same real sockets give the same answer."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pytest_sockets.table import holders
from pytest_sockets.table.readers import LinuxReader, PortableReader, Reader
from pytest_sockets.table.reading import socket_table
from pytest_sockets.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sockets.model import SocketEntry

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="compares Linux's reader with psutil")


@pytest.fixture(params=[LinuxReader, PortableReader], ids=["sock_diag", "psutil"])
def either(request: pytest.FixtureRequest) -> Reader:
    return request.param()


@pytest.fixture
def zoo() -> Iterator[dict[str, socket.socket]]:
    """One socket of each type that both readers can see."""
    made: dict[str, socket.socket] = {}
    made["listen4"] = socket.create_server(("127.0.0.1", 0))
    made["listen6"] = socket.create_server(("::1", 0), family=socket.AF_INET6)
    made["dual"] = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    made["client"] = socket.create_connection(made["listen4"].getsockname())
    made["accepted"], _ = made["listen4"].accept()
    made["mapped"] = socket.create_connection(("127.0.0.1", made["dual"].getsockname()[1]))
    made["mapped_accepted"], _ = made["dual"].accept()
    half = socket.create_connection(made["listen4"].getsockname())
    made["close_wait"], _ = made["listen4"].accept()
    half.close()
    made["udp"] = socket.socket(type=socket.SOCK_DGRAM)
    made["udp"].bind(("127.0.0.1", 0))
    made["udp6"] = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    made["udp6"].bind(("::1", 0))
    made["udp_connected"] = socket.socket(type=socket.SOCK_DGRAM)
    made["udp_connected"].connect(made["udp"].getsockname())
    yield made
    for one in made.values():
        one.close()


def told(entry: SocketEntry) -> tuple[object, ...]:
    return (
        entry.protocol,
        entry.family,
        entry.local,
        entry.remote,
        entry.status,
        entry.fd,
        entry.pid,
        entry.inode,
    )


def test_both_readers_report_each_socket_of_the_zoo_alike(either: Reader, zoo: dict[str, socket.socket]):
    by_fd = {entry.fd: entry for entry in either.own()}
    expected = {
        "listen4": ("tcp", "AF_INET", "LISTEN"),
        "listen6": ("tcp", "AF_INET6", "LISTEN"),
        "dual": ("tcp", "AF_INET6", "LISTEN"),
        "client": ("tcp", "AF_INET", "ESTABLISHED"),
        "accepted": ("tcp", "AF_INET", "ESTABLISHED"),
        "mapped": ("tcp", "AF_INET", "ESTABLISHED"),
        "mapped_accepted": ("tcp", "AF_INET6", "ESTABLISHED"),
        "close_wait": ("tcp", "AF_INET", "CLOSE_WAIT"),
        "udp": ("udp", "AF_INET", "NONE"),
        "udp6": ("udp", "AF_INET6", "NONE"),
        "udp_connected": ("udp", "AF_INET", "NONE"),
    }
    for name, words in expected.items():
        entry = by_fd[zoo[name].fileno()]
        assert (entry.protocol, entry.family, entry.status) == words, name
        assert entry.local.port == zoo[name].getsockname()[1], name
        assert (entry.pid, entry.inode) == (os.getpid(), os.fstat(zoo[name].fileno()).st_ino), name


def test_both_readers_give_the_same_set_for_this_process_and_the_system(zoo: dict[str, socket.socket]):
    fds = {one.fileno() for one in zoo.values()}
    linux, portable = LinuxReader(), PortableReader()
    for ask in ("own", "system"):
        mine = [
            {told(entry) for entry in getattr(one, ask)() if entry.pid == os.getpid() and entry.fd in fds}
            for one in (linux, portable)
        ]
        assert mine[0] == mine[1]
        assert len(mine[0]) == len(fds)


def test_listeners_are_tcp_listen_and_udp_unconnected(either: Reader, zoo: dict[str, socket.socket]):
    ports = {name: one.getsockname()[1] for name, one in zoo.items()}
    table = either.listening()
    assert {name for name in ports if ports[name] in table} >= {"listen4", "listen6", "dual", "udp", "udp6"}
    assert ports["udp_connected"] not in table
    assert ports["client"] not in table


def test_a_closed_listener_is_gone_and_its_twin_stays(either: Reader):
    with socket.create_server(("127.0.0.1", 0)) as stays:
        with socket.create_server(("127.0.0.1", 0)) as goes:
            port = goes.getsockname()[1]
            assert port in either.listening()
        assert port not in either.listening()
        assert stays.getsockname()[1] in either.listening()


def test_time_wait_has_no_holder_and_connections_do_not_count_it(either: Reader):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        assert len(either.connections_on(port, "tcp")) == 2
        accepted.close()
        client.close()
        assert wait_until(lambda: not either.connections_on(port, "tcp"), 5)
    left = either.with_status("TIME_WAIT").on_port(port)
    # Other programs may have left some on the same number: the kernel reuses ports.
    assert {(entry.status, entry.pid, entry.inode) for entry in left} == {("TIME_WAIT", None, None)}


def test_only_sock_diag_reports_a_socket_that_is_bound_and_does_not_listen():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        release = tuple(map(int, os.uname().release.split(".")[:2]))
        if release < (6, 8):
            pytest.skip("kernels before 6.8 do not report it")
        (entry,) = LinuxReader().system().on_port(port).where(lambda entry: entry.status != "TIME_WAIT")
        assert (entry.status, entry.pid, entry.fd) == ("CLOSE", os.getpid(), bound.fileno())
        # Closed connections of other programs may still have this port as their remote port.
        held = PortableReader().system().on_port(port).where(lambda entry: entry.status != "TIME_WAIT")
        assert not held


def test_unix_sockets_have_path_or_abstract_name(tmp_path):
    path = str(tmp_path / "x.sock")
    with socket.socket(socket.AF_UNIX) as named, socket.socket(socket.AF_UNIX) as abstract:
        named.bind(path)
        named.listen()
        abstract.bind("\0pytest-sockets-test")
        for table in (
            socket_table("process"),
            LinuxReader().system(),
            LinuxReader().of_processes([os.getpid()]),
        ):
            found = {
                entry.local.host: entry.status
                for entry in table
                if entry.protocol == "unix" and entry.local.host
            }
            assert found[path] == "LISTEN"
            assert found["@pytest-sockets-test"] == "NONE"
            assert path in table
            assert "/no/such.sock" not in table


@pytest.fixture
def child() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    listen = "s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)"
    code = f"import socket, sys; {listen}; sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        yield process, int(process.stdout.readline())
        process.kill()


def test_the_tree_has_the_childs_listener_and_the_process_has_not(child: tuple[subprocess.Popen[bytes], int]):
    process, port = child
    assert [entry.pid for entry in socket_table("tree").on_port(port)] == [process.pid]
    assert not socket_table("process").on_port(port)
    assert process.pid in holders.descendants(os.getpid())
    assert [entry.local.port for entry in holders.listening_of([process.pid])] == [port]
    assert "socket.create_server" in (holders.command_line(process.pid) or "")


def test_a_vanished_process_has_nothing_and_raises_nothing(
    child: tuple[subprocess.Popen[bytes], int], either: Reader
):
    process, port = child
    process.kill()
    process.wait()
    assert not either.of_processes([process.pid])
    assert holders.listening_of([process.pid]) == []
    assert holders.command_line(process.pid) is None
    assert holders.descendants(process.pid) == []
    assert port not in either.listening()


def test_processes_that_come_and_go_during_the_reading_never_raise(either: Reader):
    running = [subprocess.Popen([sys.executable, "-Ic", "pass"]) for _ in range(8)]
    while any(process.poll() is None for process in running):
        either.system()
    assert [process.wait() for process in running] == [0] * 8


def test_a_forked_listener_has_one_entry_for_each_process_and_one_line():
    with socket.create_server(("127.0.0.1", 0)) as server:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(writing)
            os.read(reading, 1)
            os._exit(0)
        try:
            table = socket_table("system").on_port(server.getsockname()[1]).with_status("LISTEN")
            assert {entry.pid for entry in table} == {os.getpid(), pid}
            assert len(str(table).splitlines()) == 2
        finally:
            os.close(writing)
            os.waitpid(pid, 0)
            os.close(reading)


MANY = """
import os, resource, socket, sys
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
held = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(4000)]
for one in held:
    one.bind((f"127.0.{sys.argv[1]}.1", 0))
print(*(os.fstat(one.fileno()).st_ino for one in held), flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_of_20_000_sockets_no_entry_is_lost():
    running = [
        subprocess.Popen(
            [sys.executable, "-c", MANY, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for number in range(1, 6)
    ]
    try:
        inodes = {int(word) for process in running for word in process.stdout.readline().split()}
        assert len(inodes) == 20_000
        table = LinuxReader().system()
        assert inodes <= {entry.inode for entry in table}
        held = {entry.inode for entry in table if entry.pid in {process.pid for process in running}}
        assert inodes <= held
        assert inodes <= {entry.inode for entry in socket_table("tree")}
    finally:
        for process in running:
            process.kill()
            process.communicate()
