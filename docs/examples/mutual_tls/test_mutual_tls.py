"""A server that lets in only clients with a certificate of the throw-away authority."""

import subprocess

import httpx
import pytest

from pytest_sockets.faults import Close

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_httpx(echo_server_factory, sockets_tls):
    server = echo_server_factory("tls", client_certificate="required", reply=lambda _: ANSWER)
    alice = sockets_tls.issue("alice@api.test")
    assert httpx.get(server.url("https"), verify=alice.client_context).text == "ok"
    with pytest.raises(httpx.TransportError):
        httpx.get(server.url("https"), verify=sockets_tls.client_context)
    server.wait_closed()
    assert "the client has no certificate" in server.connections[1].detail


def test_openssl(echo_server_factory, sockets_tls):
    server = echo_server_factory("tls", client_certificate="required", faults=[Close(after=6)])
    alice = sockets_tls.issue("alice@api.test")
    command = [
        "openssl",
        "s_client",
        "-quiet",
        "-verify_return_error",
        "-connect",
        f"{server.host}:{server.port}",
    ]
    trust = ["-CAfile", sockets_tls.ca_file, "-verify_ip", server.host]
    files = ["-cert", alice.cert_file, "-key", alice.key_file]
    done = subprocess.run([*command, *trust, *files], input=b"hello\n", capture_output=True, timeout=10)
    assert done.stdout == b"hello\n"
    refused = subprocess.run([*command, *trust], input=b"hello\n", capture_output=True, timeout=10)
    assert b"certificate required" in refused.stderr
