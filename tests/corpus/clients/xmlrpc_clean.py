"""xmlrpc: the proxy closes its connection."""
# crosses: the module's server

import threading
import xmlrpc.client
import xmlrpc.server

import pytest

PROXIES = []


@pytest.fixture(scope="module")
def url():
    with xmlrpc.server.SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False) as server:
        server.register_function(pow)
        thread = threading.Thread(target=server.serve_forever, args=[0.02])
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_calls(url):
    with xmlrpc.client.ServerProxy(url) as proxy:
        PROXIES.append(proxy)
        assert proxy.pow(2, 3) == 8


def test_next_is_innocent(url):
    pass
