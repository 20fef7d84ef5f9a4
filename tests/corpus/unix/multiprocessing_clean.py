"""Listener, Client and Pipe are closed by the tests that opened them; what a manager's proxy keeps open is plumbing."""
# fragile: the plumbing stays open
# run: --sockets-kinds=tcp,udp,unix
# needs: posix

import multiprocessing
import multiprocessing.managers
from multiprocessing.connection import Client, Listener

KEPT = []


def test_listens_and_connects(tmp_path):
    with Listener(str(tmp_path / "s"), "AF_UNIX") as server, Client(server.address) as client:
        server.accept().close()
        KEPT.extend([server, client])


def test_makes_a_pipe():
    left, right = multiprocessing.Pipe()
    with left, right:
        KEPT.extend([left, right])


def test_makes_a_queue():
    KEPT.append(multiprocessing.get_context("fork").SimpleQueue())


def test_asks_a_manager():
    with multiprocessing.get_context("spawn").Manager() as manager:
        names = manager.dict()
        names["a"] = 1
        KEPT.append(names)


def test_next_is_innocent():
    pass
