"""A connection shared through a class attribute, closed by the test that opened it."""

import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


class Repository:
    connection = None

    @classmethod
    def connect(cls):
        cls.connection = cls.connection or socket.create_connection(PEER)
        return cls.connection


class TestFirst:
    def test_saves(self):
        assert Repository.connect().fileno() > 0
        Repository.connection.close()


class TestSecond:
    def test_sees_it_closed(self):
        assert Repository.connect().fileno() == -1
