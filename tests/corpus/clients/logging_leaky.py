"""logging's SocketHandler connects with the first record and stays in the logging tree."""

import logging
import logging.handlers
import os


def test_logs_far_away():
    handler = logging.handlers.SocketHandler("127.0.0.1", int(os.environ["CORPUS_TCP"]))
    logger = logging.getLogger("far")
    logger.addHandler(handler)
    logger.warning("hello")  # LEAK owner=test:test_logs_far_away
    assert handler.sock is not None


def test_next_is_innocent():
    pass
