"""What is promised in a word: whose file is removed, which host skips, what a factory says after its test."""

from __future__ import annotations

import errno
import socket
import sys

import pytest

from pytest_sockets import EchoServer, FamilyUnavailable, ServerFault, faults
from pytest_sockets.errors import SettingError
from pytest_sockets.servers import listening
from pytest_sockets.servers.factory import ServerFactory


class TestUnixPath:
    def test_stop_removes_its_own_socket(self, tmp_path):
        path = tmp_path / "own.sock"
        EchoServer("unix", host=str(path)).stop()
        assert not path.exists()

    @pytest.mark.parametrize("other", ["socket", "file"])
    def test_stop_leaves_what_came_in_its_place(self, tmp_path, other):
        path = tmp_path / "own.sock"
        server = EchoServer("unix", host=str(path))
        path.unlink()
        with socket.socket(socket.AF_UNIX) as stranger:
            if other == "socket":
                stranger.bind(str(path))
            else:
                path.write_text("mine")
            server.stop()
            assert path.exists()

    def test_refuse_and_resume_keep_the_file_its_own(self, tmp_path):
        path = tmp_path / "own.sock"
        server = EchoServer("unix", host=str(path))
        with server.refuse():
            pass
        assert server.connect() is not None
        server.stop()
        assert not path.exists()


class TestHost:
    @pytest.mark.parametrize("transport", ["tcp", "udp"])
    @pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
    def test_an_address_of_another_machine_is_an_error(self, transport, host):
        with pytest.raises(SettingError, match="is not an address of this machine"):
            EchoServer(transport, host=host)

    def test_a_family_that_the_machine_lacks_is_told_apart(self, monkeypatch):
        """The twin: this one skips the test. As with net.ipv6.conf.all.disable_ipv6=1."""

        def no_address(sock, address, *rest):
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")

        monkeypatch.setattr(listening, "_bind_stream", no_address)
        with pytest.raises(FamilyUnavailable):
            EchoServer(host="::1")
        with pytest.raises(SettingError):
            EchoServer(host="192.0.2.1")


def test_a_factory_that_is_over_says_so():
    factory = ServerFactory(EchoServer, owner="the echo_server_factory of test_a.py::test_x")
    factory()
    factory.close()
    with pytest.raises(ServerFault, match=r"the echo_server_factory of test_a\.py::test_x is over"):
        factory()


def test_udp_resumes_where_two_sockets_cannot_share_a_port(monkeypatch, clients):
    """As on macOS and Windows: the old socket is closed before the new one is bound."""
    monkeypatch.setattr(listening, "CAN_STOP_LISTENING", False)
    with EchoServer("udp") as server:
        with server.refuse():
            pass
        client = server.connect()
        client.send(b"x")
        assert client.recv(1) == b"x"
    assert server._engine.bound[0].sock.fileno() == -1


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel refuses a plain second bind")
def test_only_one_socket_is_bound_after_a_resume_off_linux(monkeypatch):
    """The twin: SO_REUSEADDR is not set on either, so a second bind would have failed."""
    monkeypatch.setattr(listening, "CAN_STOP_LISTENING", False)
    with EchoServer("udp") as server:
        server.refuse()
        server.resume()
        assert not server._engine.bound[0].sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        with socket.socket(type=socket.SOCK_DGRAM) as other, pytest.raises(OSError, match="in use"):
            other.bind(server.address)


class TestEndings:
    def test_a_tls_client_that_says_goodbye_gets_one_back(self, tls_echo_server, clients):
        client = tls_echo_server.connect()
        clients.exchange(client, b"x")
        plain = client.unwrap()
        assert plain.recv(1) == b""
        plain.close()
        (record,) = tls_echo_server.wait_closed()
        assert record.closed_by == "client"
        assert record.detail == ""

    def test_a_client_that_is_still_sending_gets_all_of_a_close(self, echo_server_factory, clients):
        """Unread data in the server's buffer would turn the close into a reset, which destroys what was sent."""
        server = echo_server_factory(reply=lambda data: None)
        client = server.connect()
        client.sendall(b"x")
        (record,) = server.wait_connections(1)
        record.send(b"answer")
        record.close()
        client.sendall(b"y" * 200_000)
        assert clients.read(client, 100) == b"answer"

    def test_reply_sees_what_an_in_fault_let_through(self, echo_server_factory, clients):
        server = echo_server_factory(reply=bytes.upper, faults=[faults.LimitData(3, direction="in")])
        client = server.connect()
        client.sendall(b"abc")
        assert clients.read(client, 3) == b"ABC"
        client.sendall(b"d")
        assert client.recv(1) == b""
        assert server.connections[0].closed_by == "fault:LimitData"

    def test_totals_are_exact_on_both_sides(self, echo_server_factory, clients):
        server = echo_server_factory(reply=lambda data: data * 2, greeting=b"hello")
        client = server.connect()
        assert clients.read(client, 5) == b"hello"
        for size in (1, 1000, 70_000):
            client.sendall(b"x" * size)
            assert len(clients.read(client, 2 * size)) == 2 * size
        client.close()
        (record,) = server.wait_closed()
        assert (record.bytes_in, record.bytes_out) == (71_001, 5 + 142_002)
        assert (len(record.received), len(record.sent)) == (65536, 65536)
