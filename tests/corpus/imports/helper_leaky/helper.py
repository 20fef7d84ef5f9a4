"""A module under test opens its connection when a test module imports it."""
# crosses: a global of the module

import os
import socket

CONNECTION = socket.create_connection(("127.0.0.1", int(os.environ["CORPUS_TCP"])))  # LEAK owner=import:*
