"""The other side of the scenarios' connections: small servers in the examiner's own process.

They live outside of the examined run, so that a leaked client is one leaked socket, in a state that does not depend on
a server of the same process.
"""

from __future__ import annotations

import contextlib
import http.server
import socket
import socketserver
import struct
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while data := self.request.recv(65536):
                self.request.sendall(data)


class _Closing(socketserver.BaseRequestHandler):
    """Closes at once: the client gets into CLOSE_WAIT."""

    def handle(self) -> None:
        pass


class _Datagrams(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        data, sock = self.request
        sock.sendto(data, self.client_address)


class _Http(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args: object) -> None:
        pass

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()


class _Postgres(socketserver.BaseRequestHandler):
    """As much of PostgreSQL's protocol as a login without password needs."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            (length,) = struct.unpack("!i", self.request.recv(4, socket.MSG_WAITALL))
            self.request.recv(length - 4, socket.MSG_WAITALL)
            status = b"".join(self._parameter(*pair) for pair in self._parameters())
            ready = b"R" + struct.pack("!ii", 8, 0) + status + b"Z" + struct.pack("!i", 5) + b"I"
            self.request.sendall(ready)
            while self.request.recv(65536):
                pass

    @staticmethod
    def _parameters() -> list[tuple[bytes, bytes]]:
        return [
            (b"server_version", b"15.0"),
            (b"client_encoding", b"UTF8"),
            (b"standard_conforming_strings", b"on"),
        ]

    @staticmethod
    def _parameter(name: bytes, value: bytes) -> bytes:
        text = name + b"\0" + value + b"\0"
        return b"S" + struct.pack("!i", len(text) + 4) + text


class _Threads(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@contextlib.contextmanager
def peers() -> Iterator[dict[str, str]]:
    """Start all of them; gives the environment variables by which the scenarios find them."""
    here = ("127.0.0.1", 0)
    servers: dict[str, socketserver.BaseServer] = {
        "CORPUS_TCP": _Threads(here, _Echo),
        "CORPUS_CLOSING": _Threads(here, _Closing),
        "CORPUS_HTTP": _Threads(here, _Http),
        "CORPUS_POSTGRES": _Threads(here, _Postgres),
        "CORPUS_UDP": socketserver.ThreadingUDPServer(here, _Datagrams),
    }
    for server in servers.values():
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield {name: str(server.server_address[1]) for name, server in servers.items()}
    finally:
        for server in servers.values():
            server.shutdown()
            server.server_close()
