"""websockets' client has a thread that keeps the forgotten connection alive; the server's end is its other side."""
# needs: websockets
# crosses: the module's server
# fragile: the server's end closes the forgotten connection

import contextlib
import threading

import pytest
import websockets.sync.client
import websockets.sync.server

STACK = contextlib.ExitStack()


def echo(connection):
    for message in connection:
        connection.send(message)


@pytest.fixture(scope="module")
def url():
    server = websockets.sync.server.serve(echo, "127.0.0.1", 0)
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"


def test_forgets(url):
    connection = STACK.enter_context(websockets.sync.client.connect(url))  # LEAK owner=test:test_forgets
    connection.send("x")
    assert connection.recv() == "x"


def test_next_is_innocent(url):
    pass
