"""A session fixture's service starts its process when the first test asks for it; nobody ends it: the fixture's."""
# needs: posix

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
            command = [sys.executable, "-S", "-c", SERVER]
            # LEAK process=child owner=fixture:service scope=session line=optional
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
            assert self.process.stdout.readline() == b"up\n"


SERVICE = Service()


@pytest.fixture(scope="session")
def service():
    return SERVICE


def test_one(service):
    service.start()


def test_two(service):
    service.start()
