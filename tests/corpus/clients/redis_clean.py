"""A redis client is closed, and a local one cleans up silently; the session's server process may go on."""
# needs: redis redis-server

import shutil
import socket
import subprocess
import time

import pytest
import redis

CLIENTS = []


@pytest.fixture(scope="session")
def redis_port():
    program = shutil.which("redis-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--daemonize", "no"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
        process.kill()


def test_sets(redis_port):
    with redis.Redis(port=redis_port) as client:
        CLIENTS.append(client)
        assert client.set("key", "value")


def test_forgets(redis_port):
    assert redis.Redis(port=redis_port).ping()


def test_next_is_innocent(redis_port):
    pass
