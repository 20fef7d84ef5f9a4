"""A curl handle is closed, and its connection with it."""
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
    handle.perform()
    handle.close()


def test_next_is_innocent():
    pass
