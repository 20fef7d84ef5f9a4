"""A server process, ready to be used when the fixture yields."""

import subprocess
import sys
import urllib.request

import pytest

from pytest_sockets import wait_listening


@pytest.fixture
def web(free_port, tmp_path):
    command = [
        sys.executable,
        "-m",
        "http.server",
        str(free_port),
        "--bind",
        "127.0.0.1",
        "--directory",
        tmp_path,
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        wait_listening(free_port, "127.0.0.1", timeout=10, process=process)
        yield f"http://127.0.0.1:{free_port}"
        process.terminate()


def test_it_serves(web):
    with urllib.request.urlopen(web) as answer:
        assert answer.status == 200
