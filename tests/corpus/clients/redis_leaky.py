"""A global redis client, on a server process of a session fixture, is never closed."""
# needs: redis redis-server
# crosses: the leak itself

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
    client = redis.Redis(port=redis_port)
    CLIENTS.append(client)
    assert client.set("key", "value")  # LEAK owner=test:test_sets status=ESTABLISHED|CLOSE_WAIT


def test_next_is_innocent(redis_port):
    pass
