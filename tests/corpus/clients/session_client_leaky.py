"""A session fixture's HTTP client connects in the first test and is never closed: the fixture's leak."""
# needs: requests
# crosses: the session's client

import os

import pytest
import requests

URL = "http://127.0.0.1:" + os.environ["CORPUS_HTTP"]

CLIENT = requests.Session()


@pytest.fixture(scope="session")
def client():
    return CLIENT


def test_asks(client):
    assert client.get(URL).text == "ok"  # LEAK owner=fixture:client scope=session


def test_asks_again(client):
    assert client.get(URL).text == "ok"
