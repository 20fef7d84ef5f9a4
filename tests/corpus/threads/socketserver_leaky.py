"""A threading server of a test is never shut down: its thread keeps it alive."""

import socket
import socketserver
import threading


def test_serves():
    server = socketserver.ThreadingTCPServer(  # LEAK owner=test:test_serves status=LISTEN
        ("127.0.0.1", 0), socketserver.BaseRequestHandler
    )
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    socket.create_connection(server.server_address).close()


def test_next_is_innocent():
    pass
