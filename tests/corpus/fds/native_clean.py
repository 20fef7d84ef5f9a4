"""socket(2) and close(2) called by C code."""

import ctypes
import socket

LIBC = ctypes.CDLL(None, use_errno=True)


def test_calls_c():
    fd = LIBC.socket(int(socket.AF_INET), int(socket.SOCK_STREAM), 0)
    assert fd > 0
    assert LIBC.close(fd) == 0


def test_next_is_innocent():
    pass
