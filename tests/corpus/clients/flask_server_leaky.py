"""Flask's own server runs in a daemon thread of a module fixture, which cannot end it."""
# needs: flask
# crosses: the module's server

import socket
import threading
import time
import urllib.request

import pytest
from flask import Flask


@pytest.fixture(scope="module")
def live():
    app = Flask(__name__)
    app.add_url_rule("/", view_func=lambda: "hello")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    # LEAK owner=fixture:live scope=module status=LISTEN
    threading.Thread(target=app.run, kwargs={"port": port, "use_reloader": False}, daemon=True).start()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.01)
    return f"http://127.0.0.1:{port}/"


def test_get(live):
    with urllib.request.urlopen(live) as response:
        assert response.read() == b"hello"


def test_next_is_innocent():
    pass
