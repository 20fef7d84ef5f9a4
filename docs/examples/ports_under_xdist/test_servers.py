import http.client
import http.server
import socket
import socketserver
import subprocess
import sys
import threading

import pytest


def test_one_port(free_port):
    with socketserver.TCPServer(("127.0.0.1", free_port), socketserver.BaseRequestHandler) as server:
        assert server.server_address[1] == free_port


@pytest.fixture(scope="session")
def cluster(free_port_factory):
    """Three nodes that expect consecutive ports, kept until the session ends."""
    first, second, third = free_port_factory.block(3)
    return {"a": first, "b": second, "c": third}


def test_a_cluster(cluster):
    assert cluster["c"] == cluster["a"] + 2


def test_a_child_that_gets_its_socket(free_port_factory):
    listener = free_port_factory.listener()
    code = (
        "import socket; server = socket.socket(fileno=3); client, _ = server.accept(); client.sendall(b'hello')\n"
        "client.close(); server.close()"
    )
    child = subprocess.Popen(**listener.popen_kwargs([sys.executable, "-c", code]))
    with child, socket.create_connection(listener.address) as client:  # no waiting: it listens already
        assert client.recv(5) == b"hello"


def test_a_server_in_a_thread_that_gets_its_socket(free_port_factory):
    listener = free_port_factory.listener()
    server = http.server.HTTPServer(
        listener.address, http.server.SimpleHTTPRequestHandler, bind_and_activate=False
    )
    server.socket.close()
    server.socket = listener
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    client = http.client.HTTPConnection(*listener.address)
    client.request("OPTIONS", "/")
    assert client.getresponse().status == 501
    client.close()
    thread.join()


def test_the_server_is_down(closed_port):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", closed_port), timeout=5)


def test_the_server_hangs(blackhole_port):
    with pytest.raises(TimeoutError):
        socket.create_connection(("127.0.0.1", blackhole_port), timeout=0.1)
