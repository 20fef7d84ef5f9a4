"""A unittest case: `python -m unittest test_case`."""

import socket
import socketserver
import threading
import unittest

import pytest_sockets
from pytest_sockets import EchoServer, faults


class Client(unittest.TestCase):
    def setUp(self):
        self.port = self.enterContext(pytest_sockets.reserve_port())

    def test_the_server_serves_its_port_and_closes_everything(self):
        with pytest_sockets.no_leaks():
            with socketserver.TCPServer(("127.0.0.1", self.port), socketserver.BaseRequestHandler) as server:
                thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
                thread.start()
                pytest_sockets.wait_listening(self.port, timeout=5)
                server.shutdown()
                thread.join()
        pytest_sockets.assert_not_listening(self.port)

    def test_the_client_survives_a_reset(self):
        with EchoServer("tcp", faults=[faults.Reset(times=1)]) as server:
            with socket.create_connection(server.address) as client, self.assertRaises(ConnectionResetError):
                client.sendall(b"hello")
                client.recv(5)
            with socket.create_connection(server.address) as client:
                client.sendall(b"hello")
                self.assertEqual(client.recv(5), b"hello")


if __name__ == "__main__":
    unittest.main()
