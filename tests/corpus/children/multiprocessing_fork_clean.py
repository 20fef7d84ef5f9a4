"""A multiprocessing server (fork) is terminated by the test."""
# needs: posix

import multiprocessing
import socket
import time


def serve(up):
    with socket.create_server(("127.0.0.1", 0)):
        up.set()
        time.sleep(60)


def test_starts_a_process():
    context = multiprocessing.get_context("fork")
    up = context.Event()
    process = context.Process(target=serve, args=[up], daemon=True)
    process.start()
    assert up.wait(20)
    process.terminate()
    process.join()


def test_next_is_innocent():
    pass
