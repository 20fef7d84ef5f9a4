"""logging's SocketHandler is taken out and closed."""

import logging
import logging.handlers
import os


def test_logs_far_away():
    handler = logging.handlers.SocketHandler("127.0.0.1", int(os.environ["CORPUS_TCP"]))
    logger = logging.getLogger("far")
    logger.addHandler(handler)
    logger.warning("hello")
    assert handler.sock is not None
    logger.removeHandler(handler)
    handler.close()


def test_next_is_innocent():
    pass
