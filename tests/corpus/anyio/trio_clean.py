"""trio.run() in a plain test: everything is closed."""
# needs: trio

import os

import trio

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


async def main():
    for listener in await trio.open_tcp_listeners(0, host="127.0.0.1"):
        await listener.aclose()
    with trio.socket.socket() as sock:
        await sock.connect(PEER)
    async with await trio.open_tcp_stream(*PEER) as stream:
        await stream.send_all(b"x")


def test_runs_trio():
    trio.run(main)


def test_next_is_innocent():
    pass
