"""A session's heartbeat: each timer starts the next one; the third keeps its connection."""
# crosses: the session's heartbeat

import os
import socket
import threading

import pytest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))
BEAT, NEXT, STOP = threading.Event(), threading.Event(), threading.Event()
KEPT = []


def start_timer():
    timer = threading.Timer(0.001, beat)
    timer.daemon = True
    timer.start()


def beat():
    if STOP.is_set():
        return
    KEPT.append(socket.create_connection(PEER))  # LEAK owner=fixture:heartbeat scope=session
    if len(KEPT) != 3:
        KEPT[-1].close()
    BEAT.set()
    NEXT.wait(30)
    NEXT.clear()
    start_timer()


@pytest.fixture(scope="session", autouse=True)
def heartbeat():
    start_timer()
    yield
    STOP.set()
    NEXT.set()


def wait_for_a_new_beat():
    assert BEAT.wait(10)
    BEAT.clear()
    NEXT.set()
    assert BEAT.wait(10)


def test_one():
    wait_for_a_new_beat()


def test_two():
    wait_for_a_new_beat()
