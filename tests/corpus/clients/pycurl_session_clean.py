"""A session's curl handle connects at its first request, inside a test; its fixture closes it."""
# needs: pycurl
# crosses: the session's connection

import os

import pycurl
import pytest

URL = "http://127.0.0.1:" + os.environ["CORPUS_HTTP"]


@pytest.fixture(scope="session")
def curl():
    handle = pycurl.Curl()
    handle.setopt(pycurl.URL, URL)
    handle.setopt(pycurl.WRITEFUNCTION, lambda data: None)
    yield handle
    handle.close()


def test_first_request_connects(curl):
    curl.perform()


def test_second_request(curl):
    curl.perform()
