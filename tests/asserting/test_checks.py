"""`assert_*` functions raise with the facts: who listens, who listens instead, who is exposed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from pytest_sockets.asserting import checks
from pytest_sockets.asserting.failure import explain
from pytest_sockets.asserting.holder_text import who_holds
from pytest_sockets.errors import QueryError, SocketAssertionError
from pytest_sockets.table.readers import reader


def test_listening_and_not_listening_are_twins():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        checks.assert_listening(port)
        checks.assert_listening(port, "localhost")
        with pytest.raises(
            SocketAssertionError, match=rf"this process, pid {os.getpid()} .* listens on 127.0.0.1:"
        ):
            checks.assert_not_listening(port)
        with pytest.raises(SocketAssertionError, match=r"a process listens on port .*, but not for ::1"):
            checks.assert_listening(port, "::1")
    checks.assert_not_listening(port)
    with pytest.raises(AssertionError, match=rf"nothing listens on port {port}/tcp"):
        checks.assert_listening(port)


def test_udp_and_tcp_are_separate():
    with socket.socket(type=socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        checks.assert_listening(port, protocol="udp")
        checks.assert_not_listening(port)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_an_exposed_server_is_named(host: str):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        port = server.getsockname()[1]
        with pytest.raises(SocketAssertionError, match="not only on loopback: reachable from outside"):
            checks.assert_loopback_only(port)
        assert port not in checks.loopback_only()
    with socket.create_server(("127.0.0.1", 0)) as server:
        checks.assert_loopback_only(server.getsockname()[1])
        assert server.getsockname()[1] in checks.loopback_only()
    with pytest.raises(SocketAssertionError, match="nothing listens on port"):
        checks.assert_loopback_only(port)


def test_no_connections_waits_for_its_grace_and_names_the_peer():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        checks.assert_no_connections(port)
        waiting = pytest.raises(SocketAssertionError, match="has not been accepted")
        with socket.create_connection(("127.0.0.1", port)), waiting:
            checks.assert_no_connections(port, grace=0.01)
        server.accept()[0].close()
        checks.assert_no_connections(port)
        with pytest.raises(QueryError):
            checks.assert_no_connections(port, grace=-1)


def test_several_holders_through_reuseport_have_their_sentence():
    with socket.socket() as one, socket.socket() as two:
        for sock in (one, two):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(("127.0.0.1", 0) if sock is one else one.getsockname())
            sock.listen()
        lines = explain("not in", one.getsockname()[1], reader().listening())
    assert "2 holders share it (SO_REUSEPORT" in lines[0]
    assert len(lines) == 3


def test_another_process_is_named_with_pid_and_program():
    listen = "s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)"
    code = f"import socket, sys; {listen}; sys.stdin.read()"
    environment = os.environ | {
        "PYTEST_CURRENT_TEST": "tests/test_a.py::test_start (setup)",
        "PYTEST_XDIST_WORKER": "gw7",
    }
    with subprocess.Popen(
        [sys.executable, "-Ic", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        port = int(process.stdout.readline())
        lines = explain("not in", port, reader().listening())
        holder = who_holds(port)[0]
        process.kill()
    assert f"pid {process.pid} (" in lines[0]
    assert "started by tests/test_a.py::test_start" in lines[0]
    assert (holder.pid, holder.test, holder.worker, holder.status) == (
        process.pid,
        "tests/test_a.py::test_start",
        "gw7",
        "LISTEN",
    )
    assert holder.is_child
    assert "create_server" in holder.command_line
    assert holder.started
    assert holder.user
    assert all(one.status == "TIME_WAIT" for one in who_holds(port))


def test_texts_stay_below_pytests_cut_and_full_ones_do_not():
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(20)]
    try:
        table = reader().listening().of_process(os.getpid())
        cut, full = explain("==", table, []), explain("==", table, [], full=True)
    finally:
        for server in servers:
            server.close()
    assert len(cut) <= 8
    assert sum(map(len, cut)) < 640
    assert "-vv" in cut[-1]
    assert len(full) >= 21


def test_who_holds_reports_time_wait_and_udp_and_respects_the_host():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        server.accept()[0].close()
        client.recv(1)
        client.close()
        assert next(one.status for one in who_holds(port, host="127.0.0.1")) == "LISTEN"
        assert who_holds(port, host="127.0.0.9") == []
        assert who_holds(port, "udp") == []
    left = [one for one in who_holds(port) if one.status == "TIME_WAIT"]
    assert left
    assert 0 < left[0].time_wait_left <= 60
    assert left[0].pid is None
