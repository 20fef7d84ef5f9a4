"""Serial numbers identify sockets where the system gives them no inode."""

from __future__ import annotations

import os
import socket
import weakref

import pytest

from pytest_sockets.leaks.identity import Serials


@pytest.fixture
def serials():
    return Serials()


@pytest.fixture
def sock():
    with socket.socket() as opened:
        yield opened


def test_a_number_holds_while_the_socket_is_open(serials, sock):
    fd = sock.fileno()
    number = serials.claim(fd, weakref.ref(sock))
    assert serials.at(fd) == number
    sock.close()
    assert serials.at(fd) is None


def test_a_reused_descriptor_gets_another_number(serials, sock):
    fd = sock.fileno()
    number = serials.claim(fd, weakref.ref(sock))
    sock.close()
    with socket.socket() as other:
        assert other.fileno() == fd
        assert serials.at(fd) is None
        assert serials.claim(fd, weakref.ref(other)) not in (number, None)


def test_an_object_for_the_same_descriptor_shares_the_number(serials, sock):
    fd = sock.fileno()
    number = serials.claim(fd, weakref.ref(sock))
    wrapper = socket.socket(fileno=fd)
    try:
        assert serials.claim(fd, weakref.ref(wrapper), shared=True) == number
        sock.detach()
        assert serials.at(fd) == number
        wrapper.close()
        assert serials.at(fd) is None
    finally:
        wrapper.close()


def test_a_new_object_does_not_share_the_number(serials, sock):
    fd = sock.fileno()
    number = serials.claim(fd, weakref.ref(sock))
    with socket.socket() as other:
        assert serials.claim(fd, weakref.ref(other)) != number


def test_claiming_again_changes_nothing(serials, sock):
    reference = weakref.ref(sock)
    assert serials.claim(sock.fileno(), reference) == serials.claim(sock.fileno(), reference)


def test_a_descriptor_without_an_object_keeps_its_number_while_it_is_listed(serials, sock):
    fd = os.dup(sock.fileno())
    try:
        number = serials.listed()[fd]
        assert serials.listed()[fd] == serials.at(fd) == number
    finally:
        os.close(fd)
    assert fd not in serials.listed()
    assert serials.at(fd) is None


def test_a_detached_descriptor_keeps_its_number(serials, sock):
    fd = sock.fileno()
    number = serials.claim(fd, weakref.ref(sock))
    sock.detach()
    serials.detach(fd)
    try:
        assert serials.at(fd) == number
    finally:
        os.close(fd)
    assert serials.at(fd) is None
