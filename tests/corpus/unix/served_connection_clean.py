"""Both ends of one unix connection are in this process; the client's is closed."""
# run: --sockets-kinds=tcp,udp,unix
# needs: posix
# crosses: the module's server

import socket
import socketserver
import threading

import pytest

KEPT = []


class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False


@pytest.fixture
def path(tmp_path):
    with Server(str(tmp_path / "echo"), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_address
        server.shutdown()
        thread.join()


def test_connects(path):
    client = socket.socket(socket.AF_UNIX)
    KEPT.append(client)
    client.connect(path)
    client.sendall(b"a\n")
    assert client.recv(2) == b"a\n"
    client.close()


def test_next_is_innocent():
    pass
