"""A curl handle keeps its connection for reuse."""
# needs: pycurl

import os

import pycurl

URL = "http://127.0.0.1:" + os.environ["CORPUS_HTTP"]

HANDLES = []


def test_asks():
    handle = pycurl.Curl()
    HANDLES.append(handle)
    handle.setopt(pycurl.URL, URL)
    handle.setopt(pycurl.WRITEFUNCTION, lambda data: None)
    handle.perform()  # LEAK owner=test:test_asks line=optional


def test_next_is_innocent():
    pass
