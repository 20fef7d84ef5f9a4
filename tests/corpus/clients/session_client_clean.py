"""A session fixture's HTTP client connects in the first test and is closed when the session ends."""
# needs: requests
# crosses: the session's client

import os

import pytest
import requests

URL = "http://127.0.0.1:" + os.environ["CORPUS_HTTP"]


@pytest.fixture(scope="session")
def client():
    with requests.Session() as session:
        yield session


def test_asks(client):
    assert client.get(URL).text == "ok"


def test_asks_again(client):
    assert client.get(URL).text == "ok"
