"""A test keeps a curl handle of its own; that of the session is closed by its fixture."""
# needs: pycurl
# crosses: the session's connection

import os

import pycurl
import pytest

URL = "http://127.0.0.1:" + os.environ["CORPUS_HTTP"]
KEPT = []


@pytest.fixture(scope="session")
def curl():
    handle = pycurl.Curl()
    handle.setopt(pycurl.URL, URL)
    handle.setopt(pycurl.WRITEFUNCTION, lambda data: None)
    yield handle
    handle.close()


def test_first_request_connects(curl):
    curl.perform()


def test_asks_by_itself():
    handle = pycurl.Curl()
    KEPT.append(handle)
    handle.setopt(pycurl.URL, URL)
    handle.setopt(pycurl.WRITEFUNCTION, lambda data: None)
    handle.perform()  # LEAK owner=test:test_asks_by_itself line=optional status=ESTABLISHED


def test_second_request(curl):
    curl.perform()
