"""A server that runs since conftest.py was imported: nobody's, and so is what it accepts."""
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


@pytest.fixture(scope="session")
def client():
    client = http.client.HTTPConnection("127.0.0.1", SERVER.server_port)
    client.auto_open = 1  # connects in the first test
    yield client
    client.close()
