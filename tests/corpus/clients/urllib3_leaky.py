"""A global PoolManager keeps its connection alive."""
# needs: urllib3

import os

import urllib3

URL = "http://127.0.0.1:" + os.environ["CORPUS_HTTP"]

MANAGER = urllib3.PoolManager()


def test_asks():
    assert MANAGER.request("GET", URL).data == b"ok"  # LEAK owner=test:test_asks


def test_next_is_innocent():
    pass
