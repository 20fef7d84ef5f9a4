"""logging.exception() keeps the traceback in the captured record, which pytest lets go after the test."""

import logging
import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


def fetch():
    client = socket.create_connection(PEER)
    raise ValueError(client.fileno())


def test_logs(caplog):
    try:
        fetch()
    except ValueError:
        logging.getLogger("fetch").exception("failed")
    assert "failed" in caplog.text


def test_next_is_innocent():
    pass
