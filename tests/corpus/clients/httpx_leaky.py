"""A global httpx.Client keeps its connection alive."""
# needs: httpx

import os

import httpx

URL = "http://127.0.0.1:" + os.environ["CORPUS_HTTP"]

CLIENT = httpx.Client()


def test_asks():
    assert CLIENT.get(URL).text == "ok"  # LEAK owner=test:test_asks


def test_next_is_innocent():
    pass
