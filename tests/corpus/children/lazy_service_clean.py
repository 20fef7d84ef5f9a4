"""A session fixture's service starts its process when the first test asks for it, and ends it with the session."""

import subprocess
import sys

import pytest

SERVER = (
    "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print('up', flush=True); time.sleep(60)"
)


class Service:
    process = None

    def start(self):
        if self.process is None:
            self.process = subprocess.Popen([sys.executable, "-S", "-c", SERVER], stdout=subprocess.PIPE)
            assert self.process.stdout.readline() == b"up\n"

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="session")
def service():
    service = Service()
    yield service
    service.stop()


def test_one(service):
    service.start()


def test_two(service):
    service.start()
