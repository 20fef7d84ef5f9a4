"""setup_class() opens, nobody closes: the class's."""
# crosses: open while the class lasts

import socket


class TestServer:
    @classmethod
    def setup_class(cls):
        cls.server = socket.create_server(("127.0.0.1", 0))  # LEAK owner=class:TestServer scope=class

    def test_one(self):
        assert self.server.fileno() > 0

    def test_two(self):
        assert self.server.fileno() > 0


def test_next_is_innocent():
    pass
