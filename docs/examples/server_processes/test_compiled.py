"""A server in C, compiled once and started for each test that needs it."""

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


# fixtures
@pytest.fixture(scope="session")
def echo_program(tmp_path_factory):
    program = tmp_path_factory.mktemp("build") / "echo"
    subprocess.run(["cc", "-o", program, Path(__file__).with_name("echo.c")], check=True)
    return program


@pytest.fixture
def echo(server_process_factory, echo_program):
    return server_process_factory([echo_program, "{port}"])


# tests
def test_it_sends_back_what_it_gets(echo):
    with socket.create_connection(echo.address) as client:
        client.sendall(b"hello")
        assert client.recv(5) == b"hello"


def test_a_client_notices_a_crash_and_a_restart(echo):
    with socket.create_connection(echo.address) as client:
        echo.kill()
        assert client.recv(1) == b""
    echo.restart()
    with socket.create_connection(echo.address) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
