"""A PoolManager that is cleared, and a local one that cleans up silently when it is freed."""
# needs: urllib3

import os

import urllib3

URL = "http://127.0.0.1:" + os.environ["CORPUS_HTTP"]

MANAGER = urllib3.PoolManager()


def test_asks():
    assert MANAGER.request("GET", URL).data == b"ok"
    MANAGER.clear()


def test_forgets():
    assert urllib3.PoolManager().request("GET", URL).data == b"ok"


def test_next_is_innocent():
    pass
