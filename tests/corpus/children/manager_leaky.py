"""A multiprocessing manager serves TCP from a process that a test forgets."""
# needs: posix

import multiprocessing.managers

MANAGERS = []


def test_shares():
    manager = multiprocessing.managers.SyncManager(("127.0.0.1", 0), b"key")
    MANAGERS.append(manager)
    # LEAK process=child owner=test:test_shares line=optional status=LISTEN
    manager.start()
