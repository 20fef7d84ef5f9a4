"""Sockets with a path are closed. Pairs, abstract and unnamed sockets are not watched by default."""
# needs: posix
# fragile: the oracle watches all unix sockets or none

import asyncio
import multiprocessing
import socket
import sys

KEPT = []


def test_closes_what_has_a_path(tmp_path):
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "s"))
        server.listen()
        client.connect(str(tmp_path / "s"))
        server.accept()[0].close()
        KEPT.extend([server, client])


def test_keeps_a_pair():
    KEPT.extend(socket.socketpair())


def test_keeps_an_abstract_listener():
    server = socket.socket(socket.AF_UNIX)
    KEPT.append(server)
    if sys.platform == "linux":
        server.bind(f"\0{__name__}")
        server.listen()


def test_keeps_an_unnamed_socket():
    KEPT.append(socket.socket(socket.AF_UNIX))


def test_keeps_a_loop():
    loop = asyncio.new_event_loop()
    KEPT.append(loop)
    loop.run_until_complete(asyncio.sleep(0))


def test_keeps_a_manager():
    manager = multiprocessing.get_context("spawn").Manager()
    things = manager.list([1])
    KEPT.extend([manager, things])
    assert list(things) == [1]


def test_next_is_innocent():
    pass
