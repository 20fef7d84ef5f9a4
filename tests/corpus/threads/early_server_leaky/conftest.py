"""A server that runs since conftest.py was imported: what it accepts is nobody's, the session client's end is a leak."""
# crosses: the server and the session's client

import http.client
import http.server
import threading

import pytest


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        pass


SERVER = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
SERVER.daemon_threads = True
threading.Thread(target=SERVER.serve_forever, args=[0.02], daemon=True).start()
LEFT = []


@pytest.fixture(scope="session")
def client():
    client = http.client.HTTPConnection("127.0.0.1", SERVER.server_port)
    client.connect()  # LEAK owner=fixture:client scope=session
    yield client
    LEFT.append(client)
