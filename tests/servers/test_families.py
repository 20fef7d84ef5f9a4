"""IPv4, IPv6, both, unix paths: each reachable as it says, each impossible one with a clear reason."""

from __future__ import annotations

import os
import socket
import stat

import pytest

from pytest_sockets.errors import FamilyUnavailable, PortUnavailable, SettingError
from pytest_sockets.model import Endpoint
from pytest_sockets.real_socket import RealSocket
from pytest_sockets.servers import listening
from pytest_sockets.servers.echo import EchoServer

linux = pytest.mark.skipif(not os.path.exists("/proc/net/unix"), reason="abstract names are Linux's")


def test_the_default_host_is_loopback_only(tcp_echo_server):
    """A test server must not be reachable from the network."""
    assert tcp_echo_server.addresses == (Endpoint("127.0.0.1", tcp_echo_server.port),)


@pytest.mark.parametrize("transport", ["tcp", "udp", "tls"])
def test_ipv6(echo_server_factory, clients, transport):
    """host="::1"."""
    server = echo_server_factory(transport, host="::1")
    assert server.host == "::1"
    assert server.url("http") == f"http://[::1]:{server.port}"
    assert clients.exchange(server.connect(), b"x") == b"x"
    if transport == "tcp":
        assert server.connections[0].local == Endpoint("::1", server.port)


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_localhost_is_both_families_on_one_port(echo_server_factory, kind):
    """Happy-eyeballs clients find it either way, and it stays on loopback."""
    server = echo_server_factory(kind, host="localhost")
    if len(server.addresses) < 2:
        pytest.skip("this host has no IPv6")
    assert [one.host for one in server.addresses] == ["127.0.0.1", "::1"]
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.connect((host, server.port))
            client.send(b"x")
            assert client.recv(1) == b"x"
    if kind == "tcp":
        assert {record.local.host for record in server.connections} == {"127.0.0.1", "::1"}


def test_the_wildcard_is_dual_stack_and_connects_by_loopback(echo_server_factory, clients):
    """host="::" answers IPv4 too; its .address is something one can connect to."""
    server = echo_server_factory(host="::")
    assert server.address == ("::1", server.port)
    assert clients.exchange(server.connect(), b"x") == b"x"
    with socket.create_connection(("127.0.0.1", server.port), 5) as client:
        assert clients.exchange(client, b"y") == b"y"


def test_a_missing_family_has_a_reason(monkeypatch):
    """What a host without IPv6 says; the fixtures make it a skip."""

    class NoIPv6(RealSocket):
        def __init__(self, family=-1, *rest):
            if family == socket.AF_INET6:
                raise OSError(97, "Address family not supported by protocol")
            super().__init__(family, *rest)

    monkeypatch.setattr(listening, "RealSocket", NoIPv6)
    with pytest.raises(
        FamilyUnavailable, match=r"this host cannot serve ::1 \(IPv6\): Address family not supported"
    ):
        EchoServer(host="::1")
    with EchoServer(host="localhost") as server:
        assert [one.host for one in server.addresses] == ["127.0.0.1"]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_link_local_address_without_scope_is_told_what_it_needs(transport):
    """The kernel says "Invalid argument" only; a bad port of the same host gets the usual advice."""
    with pytest.raises(PortUnavailable, match=r"needs its interface as scope, such as fe80::1%eth0$"):
        EchoServer(transport, host="fe80::1")
    with (
        EchoServer(transport) as server,
        pytest.raises(PortUnavailable, match=r"port=0 takes any free port$"),
    ):
        EchoServer(transport, port=server.port)


def test_a_unix_socket_is_private_and_leaves_nothing(clients):
    """Its directory is 0700, and both are gone after stop."""
    server = EchoServer("unix")
    folder = os.path.dirname(server.address)
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    assert os.stat(folder).st_uid == os.getuid()
    assert clients.exchange(server.connect(), b"x") == b"x"
    server.stop()
    assert not os.path.exists(folder)


def test_a_unix_path_of_ones_own(echo_server_factory, tmp_path, clients, monkeypatch):
    """The path is removed, its directory is not."""
    monkeypatch.chdir(tmp_path)
    server = echo_server_factory("unix", host="own.sock")
    assert server.address == "own.sock"
    assert clients.exchange(server.connect(), b"x") == b"x"
    server.stop()
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_exists_is_not_touched(tmp_path, monkeypatch):
    """It may be somebody's data."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").write_text("precious")
    with pytest.raises(PortUnavailable, match="cannot serve unix socket data: Address already in use"):
        EchoServer("unix", host="data")
    assert (tmp_path / "data").read_text() == "precious"


def test_a_path_that_is_too_long_says_the_limit_and_the_way_out(tmp_path):
    """The kernel's own message is only "AF_UNIX path too long"."""
    path = str(tmp_path / ("x" * 120))
    with pytest.raises(SettingError) as caught:
        EchoServer("unix", host=path)
    text = str(caught.value)
    assert (
        f"unix socket path of {len(path)} bytes, the limit here is {listening.UNIX_PATH_LIMIT}: {path}"
        in text
    )
    assert "set TMPDIR to a shorter directory" in text


def test_the_longest_path_works(tmp_path_factory, clients, monkeypatch):
    """The limit in the message is the real one."""
    import shutil
    import tempfile

    folder = tempfile.mkdtemp(dir="/tmp")
    try:
        path = f"{folder}/".ljust(listening.UNIX_PATH_LIMIT, "x")
        with EchoServer("unix", host=path) as server:
            assert clients.exchange(server.connect(), b"x") == b"x"
    finally:
        shutil.rmtree(folder)


def test_a_long_tmpdir_is_got_round(tmp_path, monkeypatch, clients):
    """pytest's own basetemp is often too deep; a server of no given path works all the same."""
    import tempfile

    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with EchoServer("unix") as server:
        assert len(server.address) <= listening.UNIX_PATH_LIMIT
        assert clients.exchange(server.connect(), b"x") == b"x"


@linux
def test_an_abstract_name(echo_server_factory, clients):
    """ "@name" leaves no file."""
    server = echo_server_factory("unix", host="@pytest-sockets-test-name")
    assert clients.exchange(server.connect(), b"x") == b"x"
    assert server.host == "@pytest-sockets-test-name"
