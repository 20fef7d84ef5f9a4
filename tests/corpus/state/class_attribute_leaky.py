"""A connection shared through a class attribute."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


class Repository:
    connection = None

    @classmethod
    def connect(cls):
        # LEAK owner=test:TestFirst::test_saves
        cls.connection = cls.connection or socket.create_connection(PEER)
        return cls.connection


class TestFirst:
    def test_saves(self):
        assert Repository.connect().fileno() > 0


class TestSecond:
    def test_uses_the_same(self):
        assert Repository.connect().fileno() > 0
