"""socket(2) called by C code: there is no Python line that opened it."""

import ctypes
import socket

LIBC = ctypes.CDLL(None, use_errno=True)
KEPT = []


def test_calls_c():
    # LEAK owner=test:test_calls_c line=optional
    fd = LIBC.socket(int(socket.AF_INET), int(socket.SOCK_STREAM), 0)
    assert fd > 0
    KEPT.append(fd)


def test_next_is_innocent():
    pass
