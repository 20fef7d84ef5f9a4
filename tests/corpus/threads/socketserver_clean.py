"""A threading server of a test is shut down and closed."""

import socket
import socketserver
import threading


def test_serves():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        socket.create_connection(server.server_address).close()
        server.shutdown()


def test_next_is_innocent():
    pass
