"""A multiprocessing server (fork) is left running by a test."""
# needs: posix

import multiprocessing
import socket
import time

CHILDREN = []


def serve(up):
    with socket.create_server(("127.0.0.1", 0)):
        up.set()
        time.sleep(60)


def test_starts_a_process():
    context = multiprocessing.get_context("fork")
    up = context.Event()
    process = context.Process(target=serve, args=[up], daemon=True)
    process.start()  # LEAK process=child owner=test:test_starts_a_process line=optional status=LISTEN
    CHILDREN.append(process)
    assert up.wait(20)


def test_next_is_innocent():
    pass
