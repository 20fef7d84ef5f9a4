"""trio.run() in a plain test: a listener and a raw trio socket are kept."""
# needs: trio

import os

import trio

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))

KEPT = []


async def main():
    # LEAK owner=test:test_runs_trio status=LISTEN
    KEPT.extend(await trio.open_tcp_listeners(0, host="127.0.0.1"))
    sock = trio.socket.socket()  # LEAK owner=test:test_runs_trio
    await sock.connect(PEER)
    KEPT.append(sock)


def test_runs_trio():
    trio.run(main)


def test_next_is_innocent():
    pass
