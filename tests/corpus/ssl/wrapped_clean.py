"""A wrapped client, closed; a handshake that fails closes what it wrapped."""

import os
import socket
import ssl

import pytest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))

KEPT = []


def test_wraps():
    context = ssl.create_default_context()
    plain = socket.create_connection(PEER)
    with context.wrap_socket(plain, server_hostname="localhost", do_handshake_on_connect=False) as wrapped:
        KEPT.append(wrapped)


def test_handshake_fails():
    context = ssl.create_default_context()
    plain = socket.create_connection(PEER)
    KEPT.append(plain)
    with pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname="localhost")


def test_next_is_innocent():
    pass
