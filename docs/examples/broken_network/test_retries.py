"""A client that must survive a broken network."""

import socket

import pytest

from pytest_sockets import faults


def fetch(address, request, tries=3):
    """The code under test: send, read as much again, try again after a reset."""
    for attempt in range(tries):
        try:
            with socket.create_connection(address, timeout=2) as client:
                client.sendall(request)
                answer = b""
                while len(answer) < len(request):
                    piece = client.recv(1024)
                    if not piece:
                        raise EOFError(f"only {len(answer)} of {len(request)} bytes came")
                    answer += piece
                return answer
        except ConnectionResetError:
            if attempt == tries - 1:
                raise
    return None


def test_two_resets_are_survived(tcp_echo_server):
    with tcp_echo_server.faults(faults.Reset(times=2)):
        assert fetch(tcp_echo_server.address, b"hello") == b"hello"
    assert [one.closed_by for one in tcp_echo_server.wait_closed()] == [
        "fault:Reset",
        "fault:Reset",
        "client",
    ]


def test_three_are_not(tcp_echo_server):
    with tcp_echo_server.faults(faults.Reset()), pytest.raises(ConnectionResetError):
        fetch(tcp_echo_server.address, b"hello")
    assert len(tcp_echo_server.connections) == 3


def test_short_reads_are_put_together(echo_server_factory):
    server = echo_server_factory(faults=[faults.Slice(1)])
    assert fetch(server.address, b"one byte at a time") == b"one byte at a time"


def test_half_an_answer_is_no_answer(echo_server_factory):
    server = echo_server_factory(faults=[faults.LimitData(3)])
    with pytest.raises(EOFError, match="only 3 of 5 bytes"):
        fetch(server.address, b"hello")


def test_a_server_that_hangs_is_given_up(tcp_echo_server):
    with tcp_echo_server.faults(faults.Hang()), pytest.raises(TimeoutError):
        fetch(tcp_echo_server.address, b"hello")


def test_a_server_that_comes_back(tcp_echo_server):
    with tcp_echo_server.refuse(), pytest.raises(ConnectionRefusedError):
        fetch(tcp_echo_server.address, b"hello")
    assert fetch(tcp_echo_server.address, b"hello") == b"hello"
