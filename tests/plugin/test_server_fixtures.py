"""The server fixtures: what they give, what a failing test shows of them, and whose failure a broken server is."""

from __future__ import annotations

import re
import subprocess
import sys


def test_every_fixture_gives_a_running_server(suite):
    """All transports and factories in one test each, with leak detection in error mode."""
    suite.write(
        test_a="""
            import socket
            from pytest_sockets import faults

            def exchange(client):
                client.send(b"x")
                assert client.recv(1) == b"x"

            def test_tcp(tcp_echo_server): exchange(tcp_echo_server.connect())
            def test_udp(udp_echo_server): exchange(udp_echo_server.connect())
            def test_unix(unix_echo_server): exchange(unix_echo_server.connect())
            def test_tls(tls_echo_server): exchange(tls_echo_server.connect())
            def test_factory(echo_server_factory):
                servers = [echo_server_factory("tcp", greeting=b"hi") for _ in range(3)]
                assert [server.connect().recv(2) for server in servers] == [b"hi"] * 3
            def test_session_factory(session_echo_server_factory): exchange(session_echo_server_factory().connect())
            def test_proxy(fault_proxy_factory, tcp_echo_server):
                exchange(fault_proxy_factory(tcp_echo_server.address, faults=[faults.Latency(0.001)]).connect())
            def test_contexts(sockets_tls, tls_echo_server):
                with socket.create_connection(tls_echo_server.address) as raw:
                    with sockets_tls.client_context.wrap_socket(raw, server_hostname="localhost") as client:
                        exchange(client)
                assert sockets_tls.server_context is not None and b"CERTIFICATE" in sockets_tls.ca_pem
        """
    )
    done = suite.run("--sockets-leaks=error", "-W", "error")
    assert done.outcomes == {"passed": 8}, done.text
    assert done.leaks == []


def test_a_client_that_is_left_open_is_reported_and_our_side_is_not(suite):
    """The twin: only the user's end of a connection can leak."""
    suite.write(
        test_a="""
            import socket

            kept = []

            def test_leaks(tcp_echo_server):
                kept.append(socket.create_connection(tcp_echo_server.address))
                tcp_echo_server.wait_connections(1)
        """
    )
    done = suite.run("--sockets-leaks=error")
    assert done.outcomes == {"passed": 1, "error": 1}, done.text
    (leak,) = done.leaks
    assert leak["opened_at"]["function"] == "test_leaks"


def test_a_failing_test_shows_its_connections(suite):
    """Up to five per server, one line each, with the faults and their seeds; without captured output too."""
    suite.write(
        test_a="""
            from pytest_sockets import faults

            def test_fails(tcp_echo_server, echo_server_factory, udp_echo_server):
                for number in range(7):
                    client = tcp_echo_server.connect()
                    client.sendall(b"request %d" % number)
                    client.recv(100)
                broken = echo_server_factory(faults=[faults.Corrupt(0.5, seed=42)])
                udp_echo_server.connect().send(b"ping")
                udp_echo_server.wait_connections(1)
                assert 0
        """
    )
    done = suite.run("--show-capture=no", report=False)
    assert done.outcomes == {"failed": 1}, done.text
    assert "- servers of pytest-sockets -" in done.text
    lines = [
        line
        for line in done.text.splitlines()
        if re.match(r"  tcp 127\.0\.0\.1:\d+ <- 127\.0\.0\.1:\d+: ", line)
    ]
    assert len(lines) == 5
    assert lines[0].endswith(": 9 bytes in b'request 0', 9 out, open")
    assert "  and 2 more" in done.text
    assert "faults in force: Corrupt(byte_rate=0.5, seed=42)" in done.text
    assert re.search(r"  udp <- 127\.0\.0\.1:\d+: 4 bytes b'ping'", done.text)


def test_a_passing_test_shows_nothing(suite):
    """The twin."""
    suite.write(test_a="def test_ok(tcp_echo_server): tcp_echo_server.connect()")
    done = suite.run("-rA", report=False)
    assert "servers of pytest-sockets" not in done.text


def test_of_a_session_server_only_this_tests_connections_are_shown(suite):
    """And nothing of a session server that the failing test did not use."""
    suite.write(
        conftest="""
            import pytest

            @pytest.fixture(scope="session")
            def service(session_echo_server_factory):
                return session_echo_server_factory(reply=bytes.upper)
        """,
        test_a="""
            def visit(service, data):
                client = service.connect()
                client.sendall(data)
                client.recv(100)

            def test_first(service): visit(service, b"first")
            def test_second(service):
                visit(service, b"second")
                assert 0
            def test_third(): assert 0
        """,
    )
    done = suite.run(report=False)
    assert done.outcomes == {"passed": 1, "failed": 2}, done.text
    assert "b'second'" in done.text
    assert "b'first'" not in done.text
    assert done.text.count("servers of pytest-sockets") == 1


def test_it_reaches_the_controller_under_xdist(suite):
    """The section travels with the report."""
    suite.write(
        test_a="""
            def test_fails(tcp_echo_server):
                client = tcp_echo_server.connect()
                client.sendall(b"hello")
                assert client.recv(5) == b"hullo"
        """
    )
    done = suite.run("-n", "2", plugins=("xdist",), report=False)
    assert "5 bytes in b'hello', 5 out, open" in done.text


def test_an_exception_inside_a_server_fails_the_test_that_owns_it(suite):
    """Nobody asked the server, and yet the test does not pass; its neighbour does."""
    suite.write(
        test_a="""
            def test_broken(echo_server_factory):
                server = echo_server_factory(reply=lambda data: 1 / 0)
                server.connect().sendall(b"x")
                while not server.connections or server.connections[0].is_open:
                    pass

            def test_neighbour(tcp_echo_server): tcp_echo_server.connect()
        """
    )
    done = suite.run(report=False)
    assert done.outcomes == {"passed": 1, "failed": 1}, done.text
    assert re.search(
        r"ServerFault: tcp echo server .* failed in connection .*: ZeroDivisionError: division by zero",
        done.text,
    )
    assert "FAILED test_a.py::test_broken" in done.text


def test_every_server_is_stopped_even_if_one_is_broken(suite):
    """The first error is raised after all are stopped."""
    suite.write(
        test_a="""
            servers = []

            def test_broken(echo_server_factory):
                servers.append(echo_server_factory())
                servers.append(echo_server_factory(reply=lambda data: 1 / 0))
                servers.append(echo_server_factory())
                servers[1].connect().sendall(b"x")
                while not servers[1].connections or servers[1].connections[0].is_open:
                    pass

            def test_after():
                import socket
                for server in servers:
                    assert socket.socket().connect_ex(server.address) != 0
        """
    )
    done = suite.run("-W", "ignore", report=False)
    assert done.outcomes == {"passed": 1, "failed": 1}, done.text


def test_a_missing_family_skips_with_the_reason(suite):
    """A host without IPv6 is no failure."""
    suite.write(
        test_a="""
            import socket
            from pytest_sockets.servers import listening

            class NoIPv6(listening.RealSocket):
                def __init__(self, family=-1, *rest):
                    if family == socket.AF_INET6:
                        raise OSError(97, "Address family not supported by protocol")
                    super().__init__(family, *rest)

            def test_six(echo_server_factory, monkeypatch):
                monkeypatch.setattr(listening, "RealSocket", NoIPv6)
                echo_server_factory(host="::1")
        """
    )
    done = suite.run("-rs", report=False)
    assert done.outcomes == {"skipped": 1}, done.text
    assert "this host cannot serve ::1 (IPv6): Address family not supported by protocol" in done.text


def test_a_missing_extra_says_the_command(suite):
    """As an error of the fixture, with nothing else in the way."""
    suite.write(
        conftest="import sys; sys.modules['trustme'] = None",
        test_a="def test_tls(tls_echo_server): pass",
    )
    done = suite.run(report=False)
    assert done.outcomes == {"error": 1}, done.text
    assert 'install it with: pip install "pytest-sockets[tls]"' in done.text


def test_loading_the_fixtures_loads_no_engine():
    """A suite that uses no server does not pay for one."""
    code = (
        "import sys, pytest; before = set(sys.modules); import pytest_sockets.plugin.server_fixtures; "
        "print(sorted(name for name in set(sys.modules) - before if name.startswith('pytest_sockets.servers') "
        "or name in ('ssl', 'asyncio', 'trustme', 'selectors', 'subprocess', 'psutil', 'portpicker')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "[]\n"


def test_a_failing_test_shows_the_end_of_the_transcript(suite):
    """At most eight events of each server."""
    suite.write(
        test_a="""
            def test_fails(tcp_echo_server):
                client = tcp_echo_server.connect()
                for number in range(6):
                    client.sendall(b"request %d" % number)
                    client.recv(100)
                assert 0
        """
    )
    done = suite.run(report=False)
    assert "transcript, the last 8 of 13 events:" in done.text
    assert re.search(r"    \d+\.\d{3} s #0 in     b'request 5'\n", done.text)
    assert "b'request 1'" not in done.text


def test_a_session_scripted_server_serves_every_test(suite):
    suite.write(
        conftest="""
            import pytest

            @pytest.fixture(scope="session")
            def service(session_scripted_server_factory):
                def serve(conn):
                    while line := conn.readline():
                        conn.send(line.upper())
                return session_scripted_server_factory(serve)
        """,
        test_a="""
            import pytest

            @pytest.mark.parametrize("number", range(3))
            def test_it(service, number):
                client = service.connect()
                client.sendall(b"a\\n")
                assert client.recv(10) == b"A\\n"
        """,
    )
    done = suite.run("--sockets-leaks=error", "-W", "error")
    assert done.outcomes == {"passed": 3}, done.text


def test_a_factory_used_after_its_test_says_whose_it_was(suite):
    suite.write(
        test_a="""
            kept = []

            def test_first(echo_server_factory): kept.append(echo_server_factory)
            def test_second(): kept[0]("tcp")
        """
    )
    done = suite.run("-p", "no:randomly", report=False)
    assert done.outcomes == {"passed": 1, "failed": 1}, done.text
    assert "the echo_server_factory of test_a.py::test_first is over: its servers are stopped" in done.text


def test_a_mistyped_host_fails_and_does_not_skip(suite):
    suite.write(test_a="def test_it(echo_server_factory): echo_server_factory(host='192.0.2.1')")
    done = suite.run(report=False)
    assert done.outcomes == {"failed": 1}, done.text


def test_an_error_of_a_fault_is_shown_at_the_users_line(suite):
    suite.write(
        test_a="""
            from pytest_sockets import faults

            def test_it(tcp_echo_server):
                tcp_echo_server.faults(faults.Reset(after=-1))

            def test_other(tcp_echo_server):
                tcp_echo_server.faults(5)
        """
    )
    done = suite.run("-p", "no:randomly", report=False)
    assert done.outcomes == {"failed": 2}, done.text
    assert "Reset(after=-1): use a whole number, 0 or more" in done.text
    assert re.findall(r"^(\S+\.py):\d+: SettingError", done.text, re.MULTILINE) == ["test_a.py"] * 2
