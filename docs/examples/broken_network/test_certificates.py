"""A client that checks certificates, and a server that has a bad one."""

import ssl
import urllib.error
import urllib.request

import pytest

from pytest_sockets import faults


def answer(request):
    return b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok" if request.endswith(b"\r\n\r\n") else None


@pytest.fixture
def https(echo_server_factory):
    return echo_server_factory("tls", reply=answer)


def test_a_good_one_is_accepted(https, sockets_tls):
    with urllib.request.urlopen(https.url("https"), context=sockets_tls.client_context, timeout=5) as page:
        assert page.read() == b"ok"


@pytest.mark.parametrize("fault", [faults.ExpiredCertificate(), faults.WrongHost(), faults.UntrustedCA()])
def test_a_bad_one_is_not(https, sockets_tls, fault):
    with https.faults(fault), pytest.raises(urllib.error.URLError) as caught:
        urllib.request.urlopen(https.url("https"), context=sockets_tls.client_context, timeout=5)
    assert isinstance(caught.value.reason, ssl.SSLCertVerificationError)
