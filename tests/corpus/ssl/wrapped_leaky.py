"""A wrapped client: the line that connected opened the socket, wrap_socket() only took it over."""

import os
import socket
import ssl

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
KEPT = []


def test_wraps():
    context = ssl.create_default_context()
    plain = socket.create_connection(PEER)  # LEAK owner=test:test_wraps status=ESTABLISHED
    KEPT.append(context.wrap_socket(plain, server_hostname="localhost", do_handshake_on_connect=False))


def test_next_is_innocent():
    pass
