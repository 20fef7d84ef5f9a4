"""A module under test connects on first use, not at import."""

import os
import socket


def connect():
    return socket.create_connection(("127.0.0.1", int(os.environ["CORPUS_TCP"])))
