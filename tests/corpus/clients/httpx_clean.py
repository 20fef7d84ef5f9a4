"""httpx.Client in a with block."""
# needs: httpx

import os

import httpx

URL = "http://127.0.0.1:" + os.environ["CORPUS_HTTP"]

KEPT = []


def test_asks():
    with httpx.Client() as client:
        KEPT.append(client)
        assert client.get(URL).text == "ok"


def test_next_is_innocent():
    pass
