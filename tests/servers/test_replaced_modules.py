"""Suites replace sockets, threads and clocks; the servers go on as if nothing had happened."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

EXCHANGE = """
def check():
    from pytest_sockets import faults
    from pytest_sockets.servers.echo import EchoServer
    from pytest_sockets.servers.proxy import FaultProxy
    for transport in ("tcp", "udp", "unix", "tls"):
        with EchoServer(transport) as server:
            client = server.connect()
            client.send(b"hello")
            assert client.recv(5) == b"hello", transport
            server.wait_connections(1)
    with EchoServer(faults=[faults.Latency(0.01)]) as server, FaultProxy(server) as proxy:
        client = proxy.connect()
        client.sendall(b"hello")
        assert client.recv(5) == b"hello"
    print("served")
"""


def run(code: str) -> str:
    """In a fresh interpreter: what it printed. Anything on stderr fails."""
    done = subprocess.run(
        [sys.executable, "-c", EXCHANGE + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


def test_nothing_replaced():
    """The twin: what the others are compared with."""
    assert run("check()") == "served\n"


def test_gevent_after_the_plugin_was_loaded():
    """A conftest patches everything; the plugin was there first."""
    pytest.importorskip("gevent")
    code = """
        import pytest_sockets.real_socket, pytest_sockets.originals
        from gevent import monkey
        monkey.patch_all()
        check()
    """
    assert run(code) == "served\n"


def test_gevent_before_the_plugin_was_loaded():
    """`python -m gevent.monkey -m pytest`, or a sitecustomize."""
    pytest.importorskip("gevent")
    assert run("from gevent import monkey; monkey.patch_all(); check()") == "served\n"


def test_greenlets_go_on_while_a_wait_waits():
    """The client is a greenlet of the thread that waits for it."""
    pytest.importorskip("gevent")
    code = """
        from gevent import monkey
        monkey.patch_all()
        import gevent, socket
        from pytest_sockets.servers.echo import EchoServer
        with EchoServer() as server:
            def visit():
                gevent.sleep(0.05)
                with socket.create_connection(server.address) as client:
                    client.sendall(b"x")
                    assert client.recv(1) == b"x"
            greenlet = gevent.spawn(visit)
            server.wait_connections(1, timeout=3)
            server.wait_closed(timeout=3)
            greenlet.get()
        print("met")
    """
    assert run(code) == "met\n"


def test_socket_class_replaced():
    """As pytest-socket's --disable-socket does it, before the first server and after the plugin."""
    code = """
        import pytest_sockets.real_socket
        import socket
        class Blocked(socket.socket):
            def __new__(cls, *args, **kwargs):
                raise RuntimeError("blocked")
        socket.socket = Blocked
        socket.socketpair = socket.create_connection = None
        check()
    """
    assert run(code) == "served\n"


def test_threads_clocks_and_sleep_replaced():
    """Frozen clocks and forbidden threads are for the code under test."""
    code = """
        import pytest_sockets.real_socket, pytest_sockets.waiting, pytest_sockets.originals
        import selectors, threading, time, select, _thread
        from pytest_sockets.servers.certificates import process_authority
        process_authority().client_context  # trustme's and ssl's own imports make locks
        def forbidden(*args, **kwargs):
            raise RuntimeError("replaced")
        threading.Thread = threading.Lock = threading.Event = forbidden
        selectors.DefaultSelector = select.epoll = select.poll = forbidden
        time.time = time.monotonic = lambda: 0.0
        time.sleep = forbidden
        check()
    """
    assert run(code) == "served\n"


def test_pytest_socket_and_the_fixtures(suite):
    """--disable-socket blocks the code under test, not the server."""
    pytest.importorskip("pytest_socket")
    suite.write(
        test_a="""
            import socket, pytest

            def test_server_works_and_client_is_blocked(tcp_echo_server, udp_echo_server, tls_echo_server):
                for server in (tcp_echo_server, udp_echo_server, tls_echo_server):
                    client = server.connect()
                    client.send(b"x")
                    assert client.recv(1) == b"x"
                with pytest.raises(Exception, match="socket"):
                    socket.socket()
        """
    )
    done = suite.run("--disable-socket", plugins=("pytest_socket",))
    assert done.outcomes == {"passed": 1}, done.text


def test_default_timeouts_are_not_taken_over():
    """socket.setdefaulttimeout() is for the code under test."""
    assert run("import socket; socket.setdefaulttimeout(0.001); check()") == "served\n"


def test_tls_first_used_while_sockets_are_blocked_does_not_break_ssl():
    """`ssl` keeps the real socket class, so that the suite's own TLS works when sockets are allowed again."""
    code = """
        import sys, pytest_sockets.real_socket, socket
        real = socket.socket
        class Blocked(socket.socket):
            def __new__(cls, *args, **kwargs):
                raise RuntimeError("blocked")
        assert "ssl" not in sys.modules
        socket.socket = Blocked
        check()
        assert socket.socket is Blocked
        import ssl
        assert ssl.SSLSocket.__mro__[1] is real
        print("whole")
    """
    assert run(code) == "served\nwhole\n"
