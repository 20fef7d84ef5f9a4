"""IsolatedAsyncioTestCase closes in asyncTearDown(); its own loop and self-pipe are no leak."""
# run: --sockets-kinds=tcp,udp,unix

import asyncio
import os
import unittest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


class ClientTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        _, self.writer = await asyncio.open_connection(*PEER)

    async def asyncTearDown(self):
        self.writer.close()
        await self.writer.wait_closed()

    async def test_sends(self):
        self.writer.write(b"x")
        await self.writer.drain()


def test_next_is_innocent():
    pass
