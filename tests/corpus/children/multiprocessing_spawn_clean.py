"""A multiprocessing server (spawn) is terminated by the test."""

import multiprocessing
import socket
import time


def serve(up):
    with socket.create_server(("127.0.0.1", 0)):
        up.set()
        time.sleep(60)


def test_starts_a_process():
    context = multiprocessing.get_context("spawn")
    up = context.Event()
    process = context.Process(target=serve, args=[up], daemon=True)
    process.start()
    assert up.wait(20)
    process.terminate()
    process.join()


def test_next_is_innocent():
    pass
