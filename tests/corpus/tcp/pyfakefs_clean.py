"""A fake file system over a whole module, and over single tests: what is open and what is closed is told as ever."""
# plugins: pyfakefs.pytest_plugin
# needs: pyfakefs
# crosses: the session's listener

import os
import socket

import pytest


@pytest.fixture(scope="session")
def peer():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()


@pytest.fixture(scope="class")
def files(fs_class):
    return fs_class


class TestOverAClass:
    def test_connects(self, files, peer):
        files.create_file("/here")
        with socket.create_connection(peer):
            assert os.path.exists("/here")

    def test_listens(self, files, peer):
        with socket.create_connection(peer), socket.create_server(("127.0.0.1", 0)):
            pass


def test_over_one_test(fs, peer):
    with socket.create_connection(peer) as client, client.dup():
        pass


def test_opens_nothing(fs):
    pass


def test_without(peer):
    with socket.create_connection(peer):
        pass
