"""A session in a with block, and a local one that cleans up silently when it is freed."""
# needs: requests

import os

import requests

URL = "http://127.0.0.1:" + os.environ["CORPUS_HTTP"]


def test_asks():
    with requests.Session() as session:
        assert session.get(URL).text == "ok"


def test_forgets():
    session = requests.Session()
    assert session.get(URL).text == "ok"


def test_shortly():
    assert requests.get(URL).text == "ok"


def test_next_is_innocent():
    pass
