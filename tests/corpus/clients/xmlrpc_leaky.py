"""xmlrpc: a kept proxy holds its keep-alive connection to the module's server."""
# crosses: the module's server
# fragile: the server's end depends on its handler

import threading
import xmlrpc.client
import xmlrpc.server

import pytest

PROXIES = []


class Handler(xmlrpc.server.SimpleXMLRPCRequestHandler):
    protocol_version = "HTTP/1.1"


class Server(xmlrpc.server.SimpleXMLRPCServer):
    def __init__(self, address):
        super().__init__(address, Handler, logRequests=False)

    def process_request(self, request, client_address):
        threading.Thread(target=super().process_request, args=[request, client_address], daemon=True).start()


@pytest.fixture(scope="module")
def url():
    with Server(("127.0.0.1", 0)) as server:
        server.register_function(pow)
        thread = threading.Thread(target=server.serve_forever, args=[0.02])
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_calls(url):
    proxy = xmlrpc.client.ServerProxy(url)
    PROXIES.append(proxy)
    assert proxy.pow(2, 3) == 8  # LEAK owner=test:test_calls


def test_next_is_innocent(url):
    pass
