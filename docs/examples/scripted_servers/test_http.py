import http.client

import pytest


def test_a_keep_alive_connection_is_reset_on_the_second_request(scripted_server_factory):
    def serve(conn):
        conn.recv_until(b"\r\n\r\n")
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        conn.recv_until(b"\r\n\r\n")
        conn.reset()

    client = http.client.HTTPConnection("127.0.0.1", scripted_server_factory(serve).port, timeout=5)
    client.request("GET", "/first")
    assert client.getresponse().read() == b"ok"
    client.request("GET", "/second")
    with pytest.raises(ConnectionResetError):
        client.getresponse()
    client.close()
