"""setup_class() opens, teardown_class() closes."""
# crosses: open while the class lasts

import socket


class TestServer:
    @classmethod
    def setup_class(cls):
        cls.server = socket.create_server(("127.0.0.1", 0))

    @classmethod
    def teardown_class(cls):
        cls.server.close()

    def test_one(self):
        assert self.server.fileno() > 0

    def test_two(self):
        assert self.server.fileno() > 0


def test_next_is_innocent():
    pass
