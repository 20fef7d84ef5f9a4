"""IsolatedAsyncioTestCase: the writer is kept by a class attribute when its loop is long gone."""

import asyncio
import os
import unittest

PEER = ("127.0.0.1", int(os.environ["CORPUS_TCP"]))


class ClientTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        _, writer = await asyncio.open_connection(*PEER)  # LEAK owner=test:ClientTest::test_sends
        type(self).writer = writer

    async def test_sends(self):
        self.writer.write(b"x")
        await self.writer.drain()


def test_next_is_innocent():
    pass
