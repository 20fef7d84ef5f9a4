"""Rules for owner, protocol and status, and a mark's own rule."""
# run: --sockets-ignore=protocol=udp --sockets-ignore=owner=fixture:legacy
# fragile: leaks on purpose

import socket

import pytest

KEPT = []


@pytest.fixture
def legacy():
    KEPT.append(socket.create_server(("127.0.0.1", 0)))


def test_uses_legacy(legacy):
    pass


def test_sends_datagrams():
    KEPT.append(socket.socket(type=socket.SOCK_DGRAM))


@pytest.mark.sockets(ignore=["local=127.0.0.1:* status=LISTEN"])
def test_listens():
    KEPT.append(socket.create_server(("127.0.0.1", 0)))


def test_next_is_innocent():
    pass
