"""A fake file system over a whole module: no /proc, no descriptor is known to `os`, and the leak is seen all the same."""
# plugins: pyfakefs.pytest_plugin
# needs: pyfakefs
# crosses: the module's listener

import os
import socket

import pytest

KEPT = []


@pytest.fixture(scope="module")
def peer():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()


@pytest.fixture(scope="module", autouse=True)
def files(fs_module):
    return fs_module


def test_connects(peer):
    KEPT.append(socket.create_connection(peer))  # LEAK owner=test:test_connects status=ESTABLISHED


def test_next_is_innocent(files, peer):
    files.create_file("/here")
    with socket.create_connection(peer):
        assert os.path.exists("/here")


def test_duplicates(peer):
    with socket.create_connection(peer) as client:
        KEPT.append(client.dup())  # LEAK owner=test:test_duplicates status=ESTABLISHED


def test_last_is_innocent():
    with socket.create_server(("127.0.0.1", 0)):
        pass
