"""A handshake that is started by hand and fails leaves the socket to its caller."""

import os
import socket
import ssl

import pytest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))

KEPT = []


def test_handshake_fails():
    context = ssl.create_default_context()
    plain = socket.create_connection(PEER)  # LEAK owner=test:test_handshake_fails
    wrapped = context.wrap_socket(plain, server_hostname="localhost", do_handshake_on_connect=False)
    KEPT.append(wrapped)
    with pytest.raises(ssl.SSLError):
        wrapped.do_handshake()


def test_next_is_innocent():
    pass
