"""A forked child keeps the listener that its parent has closed."""
# needs: posix

import os
import socket
import time

CHILDREN = []


def test_forks():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert listener.fileno() > 0
        pid = os.fork()  # LEAK process=child owner=test:test_forks line=any status=LISTEN
        if pid == 0:
            time.sleep(60)
            os._exit(0)
    CHILDREN.append(pid)


def test_next_is_innocent():
    pass
