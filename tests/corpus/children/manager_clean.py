"""A multiprocessing manager serves TCP from a process, and is shut down."""

import multiprocessing.managers


def test_shares():
    with multiprocessing.managers.SyncManager(("127.0.0.1", 0), b"key") as manager:
        values = manager.list([1])
        values.append(2)
        assert list(values) == [1, 2]


def test_next_is_innocent():
    pass
