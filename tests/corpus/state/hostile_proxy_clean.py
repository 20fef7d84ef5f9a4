"""A session fixture names a proxy that raises for each question; a test closes its socket beside it."""

import socket

import pytest

KEPT = []


class Proxy:
    """As flask's and celery's outside of their contexts."""

    def _unbound(self, *args):
        raise RuntimeError("used outside of its context")

    __class__ = property(_unbound)
    __getattr__ = __bool__ = __eq__ = __call__ = __iter__ = __len__ = _unbound
    __hash__ = None


CURRENT = Proxy()


@pytest.fixture(scope="session")
def app():
    yield
    assert type(CURRENT) is Proxy


def test_listens(app):
    server = socket.create_server(("127.0.0.1", 0))
    KEPT.append(server)
    server.close()


def test_next_is_innocent(app):
    pass
