"""A real TLS connection within one test, closed at both ends."""
# needs: trustme

import os
import socket
import ssl
import threading

import trustme

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


def serve(listener, context):
    plain, _ = listener.accept()
    with context.wrap_socket(plain, server_side=True) as wrapped:
        wrapped.sendall(wrapped.recv(10))


def test_echoes():
    authority = trustme.CA()
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server_context)
    client_context = ssl.create_default_context()
    authority.configure_trust(client_context)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=[listener, server_context])
        thread.start()
        plain = socket.create_connection(listener.getsockname())
        with client_context.wrap_socket(plain, server_hostname="localhost") as client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
        thread.join()


def test_next_is_innocent():
    pass
