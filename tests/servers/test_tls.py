"""TLS servers: a good certificate is accepted by a careful client, each bad one is refused for the right reason."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import textwrap

import pytest

from pytest_sockets import faults


def shake_hands(server, sockets_tls, timeout: float = 5.0, host: str = "127.0.0.1") -> None:
    """As a client that checks everything."""
    with (
        socket.create_connection(server.address, timeout) as raw,
        sockets_tls.client_context.wrap_socket(raw, server_hostname=host),
    ):
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_the_good_certificate_is_for_loopback_by_any_name(tls_echo_server, sockets_tls, host):
    """A client that trusts the CA and checks the name gets through."""
    shake_hands(tls_echo_server, sockets_tls, host=host)


def test_a_client_that_does_not_know_the_ca_refuses(tls_echo_server):
    """It is a throw-away CA: nobody trusts it by default."""
    with (
        socket.create_connection(tls_echo_server.address, 5) as raw,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        ssl.create_default_context().wrap_socket(raw, server_hostname="127.0.0.1")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (faults.ExpiredCertificate(), "certificate has expired"),
        (faults.WrongHost(), "IP address mismatch"),
        (faults.UntrustedCA(), "unable to get local issuer certificate"),
    ],
)
def test_a_bad_certificate_is_refused_for_its_reason(tls_echo_server, sockets_tls, fault, reason):
    """While the fault is in force, and no longer; the record says how the handshake ended."""
    with tls_echo_server.faults(fault), pytest.raises(ssl.SSLCertVerificationError, match=reason):
        shake_hands(tls_echo_server, sockets_tls)
    record = tls_echo_server.wait_closed()[0]
    assert record.closed_by == "client"
    assert "TLS handshake" in record.detail
    shake_hands(tls_echo_server, sockets_tls)


def test_a_careless_client_accepts_it(echo_server_factory):
    """The twin: the certificate is served, it is the client that must look."""
    server = echo_server_factory("tls", faults=[faults.ExpiredCertificate()])
    careless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    careless.check_hostname = False
    careless.verify_mode = ssl.CERT_NONE
    with socket.create_connection(server.address, 5) as raw, careless.wrap_socket(raw) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"


def test_a_handshake_that_hangs(tls_echo_server, sockets_tls, stopwatch):
    """TCP connects, TLS never answers: the client's timeout counts."""
    with tls_echo_server.faults(faults.HandshakeHang(times=1)):
        watch = stopwatch()
        with pytest.raises(TimeoutError):
            shake_hands(tls_echo_server, sockets_tls, timeout=0.2)
        assert 0.2 <= watch.seconds < 1
        shake_hands(tls_echo_server, sockets_tls)


def test_close_says_good_bye_and_limit_data_does_not(echo_server_factory, sockets_tls):
    """A strict client tells an orderly end (close_notify) from a cut line."""
    for fault, cut in ((faults.Close(after=3), False), (faults.LimitData(3), True)):
        server = echo_server_factory("tls", faults=[fault])
        with (
            socket.create_connection(server.address, 5) as raw,
            sockets_tls.client_context.wrap_socket(
                raw, server_hostname="localhost", suppress_ragged_eofs=False
            ) as client,
        ):
            client.sendall(b"12345")
            assert client.recv(10) == b"123"
            if cut:
                with pytest.raises(ssl.SSLEOFError):
                    client.recv(1)
            else:
                assert client.recv(1) == b""


def test_a_client_that_speaks_no_tls_is_told_so_in_the_record(tls_echo_server):
    """An HTTP client on a TLS port is a common mistake."""
    with socket.create_connection(tls_echo_server.address, 5) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        client.recv(1000)
    (record,) = tls_echo_server.wait_closed()
    assert "TLS handshake failed" in record.detail


def test_16_mib_through_tls(tls_echo_server, clients):
    """Large transfers work, sent before anything is read."""
    client = tls_echo_server.connect(timeout=20)
    data = bytes(range(256)) * (16 << 12)
    client.sendall(data)
    assert clients.read(client, len(data)) == data


def test_the_greeting_waits_for_the_handshake(echo_server_factory, clients):
    """Plain text before the handshake would break it."""
    assert clients.read(echo_server_factory("tls", greeting=b"220\r\n").connect(), 5) == b"220\r\n"


def test_ca_pem_and_ca_file_are_the_same(sockets_tls):
    """Text for libraries, a path for tools."""
    assert sockets_tls.ca_pem.startswith(b"-----BEGIN CERTIFICATE-----")
    assert sockets_tls.ca_file.read_bytes() == sockets_tls.ca_pem


def test_a_missing_extra_says_how_to_install_it(tmp_path):
    """Not an ImportError from the middle of the engine."""
    script = tmp_path / "no_trustme.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys
            sys.modules["trustme"] = None
            from pytest_sockets.errors import ServerFault
            from pytest_sockets.servers.echo import EchoServer
            try:
                EchoServer("tls")
            except ServerFault as error:
                print(error)
            """
        )
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=20, check=False
    )
    assert "TLS servers need the package trustme" in done.stdout
    assert done.stdout.endswith('install it with: pip install "pytest-sockets[tls]"\n')
    assert done.stderr == ""
