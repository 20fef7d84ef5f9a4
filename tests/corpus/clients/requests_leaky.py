"""A global requests.Session keeps its connection alive."""
# needs: requests

import os

import requests

URL = "http://127.0.0.1:" + os.environ["CORPUS_HTTP"]

SESSION = requests.Session()


def test_asks():
    assert SESSION.get(URL).text == "ok"  # LEAK owner=test:test_asks


def test_asks_again():
    assert SESSION.get(URL).text == "ok"
