"""Not collected as a test: it fails, and the documentation shows how."""

import subprocess
import sys

import pytest


@pytest.fixture
def web(free_port):
    command = [sys.executable, "-m", "http.server", str(free_port), "--bind", "0.0.0.0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        yield process, free_port
        process.terminate()


def test_it_is_for_this_host_only(web, sockets):
    process, port = web
    sockets.wait_listening(port, timeout=10, process=process)
    assert ("127.0.0.1", port) in sockets.listening
    assert port in sockets.loopback_only
