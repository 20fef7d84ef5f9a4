"""A multiprocessing server (spawn) is left running by a test; the interpreter may fire no audit event for it."""

import multiprocessing
import socket
import time

CHILDREN = []


def serve(up):
    with socket.create_server(("127.0.0.1", 0)):
        up.set()
        time.sleep(60)


def test_starts_a_process():
    context = multiprocessing.get_context("spawn")
    up = context.Event()
    process = context.Process(target=serve, args=[up], daemon=True)
    process.start()  # LEAK process=child owner=test:test_starts_a_process line=optional status=LISTEN
    CHILDREN.append(process)
    assert up.wait(20)


def test_next_is_innocent():
    pass
