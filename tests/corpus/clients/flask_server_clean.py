"""Flask runs in werkzeug's server in a thread of a module fixture, which ends it."""
# needs: flask
# crosses: the module's server

import threading
import urllib.request

import pytest
from flask import Flask
from werkzeug.serving import make_server


@pytest.fixture(scope="module")
def live():
    app = Flask(__name__)
    app.add_url_rule("/", view_func=lambda: "hello")
    server = make_server("127.0.0.1", 0, app)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_get(live):
    with urllib.request.urlopen(live) as response:
        assert response.read() == b"hello"


def test_next_is_innocent():
    pass
