"""Not collected: this test fails, and the documentation shows how."""

import subprocess
import sys

import pytest


@pytest.fixture
def web(free_port):
    command = [sys.executable, "-m", "http.server", str(free_port), "--bind", "0.0.0.0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        yield process, free_port
        process.terminate()


def test_it_listens_on_loopback_only(web, sockets):
    process, port = web
    sockets.wait_listening(port, process=process)  # reads the table, never connects
    assert port in sockets.loopback_only
