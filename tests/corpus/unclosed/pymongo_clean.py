"""A test closes its MongoClient before it drops it."""
# needs: pymongo posix
# run: --sockets-unclosed=warn
# crosses: the session's server

import gc
import socketserver
import struct
import threading

import bson
import pymongo
import pytest

HELLO = {"ok": 1, "isWritablePrimary": True, "minWireVersion": 0, "maxWireVersion": 25, "helloOk": True}


class Mongo(socketserver.StreamRequestHandler):
    """As much of MongoDB's protocol as a ping needs."""

    def handle(self):
        while head := self.rfile.read(16):
            length, request, _, opcode = struct.unpack("<iiii", head)
            self.rfile.read(length - 16)
            body = bson.encode(HELLO)
            if opcode == 2013:  # OP_MSG
                answer, kind = struct.pack("<iB", 0, 0) + body, 2013
            else:
                answer, kind = struct.pack("<iqii", 8, 0, 0, 1) + body, 1
            self.wfile.write(struct.pack("<iiii", len(answer) + 16, 1, request, kind) + answer)


@pytest.fixture(scope="session")
def port():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mongo) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_pings(port):
    client = pymongo.MongoClient("127.0.0.1", port, directConnection=True)
    with client:
        assert client.admin.command("ping")["ok"] == 1


def test_next_is_innocent():
    gc.collect()
