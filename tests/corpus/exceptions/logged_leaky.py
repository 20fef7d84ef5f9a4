"""logging.exception() keeps the traceback in the captured record, a handler of the suite keeps the record for good."""

import logging
import os
import socket

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
RECORDS = []


class Keeper(logging.Handler):
    def emit(self, record):
        RECORDS.append(record)


def fetch():
    client = socket.create_connection(PEER)  # LEAK owner=test:test_logs
    raise ValueError(client.fileno())


def test_logs():
    logger = logging.getLogger("fetch")
    logger.addHandler(Keeper())
    try:
        fetch()
    except ValueError:
        logger.exception("failed")


def test_next_is_innocent():
    pass
