"""Issued certificates, ALPN, client certificates, versions, and what each side says of a failed handshake."""

from __future__ import annotations

import datetime
import os
import socket
import ssl
import stat
import subprocess
import sys

import pytest

from pytest_sockets import Authority, Certificate, EchoServer, ServerFault, SettingError, faults

LOOPBACK = "127.0.0.1"


def talk(server, context, name=LOOPBACK):
    """One byte there and back, as a client with this context; the TLS socket's ALPN protocol and version."""
    with (
        socket.create_connection(server.address, 5) as raw,
        context.wrap_socket(raw, server_hostname=name) as client,
    ):
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        return client.selected_alpn_protocol(), client.version()


def detail_of(server):
    """What the server says of its last connection."""
    server.wait_closed()
    return server.connections[-1].detail


def test_an_issued_certificate_is_for_its_names_only(echo_server_factory, sockets_tls):
    server = echo_server_factory("tls", context=sockets_tls.issue("api.test", "10.0.0.1"))
    talk(server, sockets_tls.client_context, "api.test")
    talk(server, server.client_context, "10.0.0.1")
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for 'localhost'"):
        talk(server, sockets_tls.client_context, "localhost")
    assert "asked for another host name" in detail_of(server)


def test_its_files_serve_other_programs(sockets_tls):
    certificate = sockets_tls.issue("api.test")
    assert isinstance(certificate, Certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert_file, certificate.key_file)
    assert certificate.cert_file.read_bytes() == certificate.cert_pem
    assert certificate.cert_file != sockets_tls.issue("api.test").cert_file
    if os.name == "posix":
        assert stat.S_IMODE(certificate.key_file.stat().st_mode) == 0o600


def test_a_certificate_can_have_expired(echo_server_factory, sockets_tls):
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    certificate = sockets_tls.issue(LOOPBACK, not_before=now - 2 * day, not_after=now - day)
    server = echo_server_factory("tls", context=certificate)
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        talk(server, sockets_tls.client_context)
    assert "has expired" in detail_of(server)


@pytest.mark.parametrize("names", [(), ("",), (b"api.test",), ("not a name",), ("a" * 300,)])
def test_a_name_that_no_certificate_can_have_is_an_error(sockets_tls, names):
    with pytest.raises(SettingError, match=r"issue\("):
        sockets_tls.issue(*names)


def test_a_context_of_the_users_own_is_used(echo_server_factory, sockets_tls):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = sockets_tls.issue("own.test")
    context.load_cert_chain(certificate.cert_file, certificate.key_file)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    server = echo_server_factory("tls", context=context)
    assert talk(server, sockets_tls.client_context, "own.test") == (None, "TLSv1.2")


def test_alpn_chooses_the_servers_first_choice(echo_server_factory, sockets_tls):
    server = echo_server_factory("tls", alpn=["h2", "http/1.1"])
    client = ssl.create_default_context(cadata=sockets_tls.ca_pem.decode())
    client.set_alpn_protocols(["http/1.1", "h2"])
    assert talk(server, client)[0] == "h2"
    assert server.connect().selected_alpn_protocol() == "h2"


def test_the_twin_without_alpn_no_protocol_is_chosen(echo_server_factory, sockets_tls):
    """The settings of one server do not reach another one with the default certificate."""
    echo_server_factory("tls", alpn=["h2"])
    client = ssl.create_default_context(cadata=sockets_tls.ca_pem.decode())
    client.set_alpn_protocols(["h2"])
    assert talk(echo_server_factory("tls"), client)[0] is None


def test_versions_are_limited_on_both_sides(echo_server_factory, sockets_tls):
    old = echo_server_factory("tls", maximum_version=ssl.TLSVersion.TLSv1_2)
    new = echo_server_factory("tls", minimum_version=ssl.TLSVersion.TLSv1_3)
    assert talk(old, sockets_tls.client_context)[1] == "TLSv1.2"
    assert talk(new, sockets_tls.client_context)[1] == "TLSv1.3"
    with pytest.raises(ssl.SSLError):
        talk(new, old.client_context)
    assert "no TLS version in common" in detail_of(new)


def test_a_required_client_certificate_must_be_of_this_authority(echo_server_factory, sockets_tls):
    server = echo_server_factory("tls", client_certificate="required")
    talk(server, server.client_context)
    talk(server, sockets_tls.issue("alice@api.test").client_context)
    with pytest.raises(OSError, match=r"(?i)certificate required|reset"):
        talk(server, sockets_tls.client_context)
    assert "the client has no certificate, and this server requires one" in detail_of(server)
    stranger = Authority().issue("mallory").client_context
    sockets_tls.trust(stranger)
    with pytest.raises(OSError, match=r"(?i)unknown ca|reset"):
        talk(server, stranger)
    assert "the client's certificate is not valid here" in detail_of(server)


def test_an_optional_client_certificate_may_be_absent_but_not_wrong(echo_server_factory, sockets_tls):
    server = echo_server_factory("tls", client_certificate="optional")
    talk(server, sockets_tls.client_context)
    talk(server, server.client_context)
    stranger = Authority().issue("mallory").client_context
    sockets_tls.trust(stranger)
    with pytest.raises(OSError, match=r"(?i)unknown ca|reset"):
        talk(server, stranger)


def test_the_settings_hold_for_the_certificates_of_faults(echo_server_factory):
    server = echo_server_factory("tls", alpn=["h2"], faults=[faults.WrongHost(times=1)])
    with pytest.raises(ssl.SSLCertVerificationError):
        server.connect()
    assert server.connect().selected_alpn_protocol() == "h2"


def test_a_failed_handshake_of_connect_shows_the_servers_side(echo_server_factory):
    server = echo_server_factory("tls", faults=[faults.UntrustedCA()])
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        server.connect()
    [note] = caught.value.__notes__
    assert note.startswith(f"{server}: TLS handshake failed: ")
    assert "the client does not trust the authority of this certificate" in note


@pytest.mark.parametrize(
    ("sent", "cause"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "speaks plain HTTP; use https"),
        (b"EHLO client.test\r\n", "does not speak TLS"),
    ],
)
def test_a_client_without_tls_is_explained(tls_echo_server, sent, cause):
    with socket.create_connection(tls_echo_server.address, 5) as client:
        client.sendall(sent)
        client.recv(100)
    assert cause in detail_of(tls_echo_server)


def test_a_failing_test_shows_why_the_handshake_failed(suite):
    suite.write(
        test_a="""
            import socket, ssl
            def test_a(tls_echo_server):
                with socket.create_connection(tls_echo_server.address) as raw:
                    ssl.create_default_context().wrap_socket(raw, server_hostname="localhost")
        """
    )
    done = suite.run()
    assert done.outcomes == {"failed": 1}
    assert "the client does not trust the authority of this certificate" in done.text


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            {"client_certificate": "always"},
            "client_certificate='always': use one of 'none', 'optional', 'required'",
        ),
        ({"alpn": "h2"}, "alpn='h2': use a list of protocol names"),
        ({"alpn": []}, "alpn=[]"),
        ({"alpn": [""]}, "alpn=['']"),
        ({"alpn": 5}, "alpn=5"),
        ({"minimum_version": "TLSv1.3"}, "minimum_version='TLSv1.3': use a member of ssl.TLSVersion"),
        (
            {"minimum_version": ssl.TLSVersion.TLSv1_3, "maximum_version": ssl.TLSVersion.TLSv1_2},
            "minimum_version=TLSv1_3 is above maximum_version=TLSv1_2",
        ),
        ({"context": "cert.pem"}, "context='cert.pem': use an ssl.SSLContext or a certificate"),
    ],
)
def test_bad_settings_are_errors_that_say_what_to_use(settings, problem):
    with pytest.raises(SettingError) as caught:
        EchoServer("tls", **settings)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [{"alpn": ["h2"]}, {"client_certificate": "required"}, {"minimum_version": ssl.TLSVersion.TLSv1_3}],
)
def test_settings_of_tls_are_refused_on_other_transports(settings):
    with pytest.raises(SettingError, match="transport='tcp' has no TLS"):
        EchoServer("tcp", **settings)
    with EchoServer() as server, pytest.raises(ServerFault, match="has no client_context"):
        _ = server.client_context


def test_a_second_server_cannot_change_the_context_of_the_first(echo_server_factory, sockets_tls):
    certificate = sockets_tls.issue(LOOPBACK)
    echo_server_factory("tls", context=certificate.server_context, alpn=["h2"])
    echo_server_factory("tls", context=certificate.server_context, alpn=["h2"])
    with pytest.raises(SettingError, match=r"another server has set TlsSettings\(alpn=\('h2',\)"):
        echo_server_factory("tls", context=certificate.server_context)
    echo_server_factory("tls", context=certificate)


def test_a_script_makes_its_own_authority_and_leaves_no_file(tmp_path):
    code = (
        "from pytest_sockets import Authority, EchoServer\n"
        "certificate = Authority().issue('127.0.0.1')\n"
        "with EchoServer('tls', context=certificate, client_certificate='required') as server:\n"
        "    with server.connect() as client:\n"
        "        client.sendall(b'x')\n"
        "        assert client.recv(1) == b'x'\n"
        "print(certificate.key_file)\n"
    )
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", code],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not os.path.exists(done.stdout.strip())
