"""What do the tests look like whose cost is counted? Each suite repeats one kind of test that opens and closes sockets."""

from __future__ import annotations

from typing import Final

EMPTY: Final = "def test_{number}(): pass\n"

PLAIN: Final = (
    "import socket\n",
    """
def test_{number}():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        with accepted:
            client.sendall(b"ping")
            assert accepted.recv(4) == b"ping"
""",
)
ASYNCIO: Final = (
    "import asyncio\n",
    """
def test_{number}():
    async def echo(reader, writer):
        writer.write(await reader.read(4))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def main():
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"ping")
            assert await reader.read() == b"ping"
            writer.close()
            await writer.wait_closed()

    asyncio.run(main())
""",
)
AIOHTTP: Final = (
    "import asyncio\nimport aiohttp\nfrom aiohttp import web\n",
    """
def test_{number}():
    async def answer(request):
        return web.Response(text="pong")

    async def main():
        app = web.Application()
        app.router.add_get("/", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        async with aiohttp.ClientSession() as session:
            for _ in range(3):
                async with session.get(f"http://{{host}}:{{port}}/") as response:
                    assert await response.text() == "pong"
        await runner.cleanup()

    asyncio.run(main())
""",
)
REQUESTS: Final = (
    "import http.server\nimport threading\nimport requests\n"
    "class Answer(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    "        self.send_response(200)\n"
    "        self.send_header('Content-Length', '4')\n"
    "        self.end_headers()\n"
    "        self.wfile.write(b'pong')\n"
    "    def log_message(self, *args): pass\n",
    """
def test_{number}():
    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with requests.Session() as session:
            session.trust_env = False
            assert session.get(f"http://127.0.0.1:{{server.server_port}}/").text == "pong"
        thread.join()
""",
)
GARBAGE: Final = (
    "import socket\n"
    "class Client:\n"
    "    def __init__(self, address):\n"
    "        self.sock = socket.create_connection(address)\n"
    "        self.commands = {'close': self.sock.close, 'send': self.send}\n"
    "        self.me = self\n"
    "    def send(self, data): self.sock.sendall(data)\n",
    """
def test_{number}():
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = Client(server.getsockname())
        accepted, _ = server.accept()
        with accepted:
            client.send(b"ping")
            assert accepted.recv(4) == b"ping"
""",
)
"""Each client is in a cycle and dies with the next garbage collection, as pymemcache's clients do in its own tests."""
