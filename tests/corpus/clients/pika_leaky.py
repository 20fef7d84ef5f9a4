"""A module fixture's BlockingConnection is never closed."""
# needs: pika
# crosses: the module's server and connection

import socketserver
import threading

import pika
import pytest
from pika import frame, spec

KEPT = []
ANSWERS = {
    spec.Connection.StartOk: spec.Connection.Tune(1, 131072, 0),
    spec.Connection.Open: spec.Connection.OpenOk(),
    spec.Channel.Open: spec.Channel.OpenOk(),
    spec.Channel.Close: spec.Channel.CloseOk(),
    spec.Connection.Close: spec.Connection.CloseOk(),
}


class Broker(socketserver.BaseRequestHandler):
    """As much of AMQP as opening and closing a channel needs."""

    def handle(self):
        self.request.recv(8)
        self.answer(0, spec.Connection.Start(server_properties={}))
        received = b""
        while data := self.request.recv(65536):
            received += data
            while (parsed := frame.decode_frame(received))[1] is not None:
                length, asked = parsed
                received = received[length:]
                answer = ANSWERS.get(type(getattr(asked, "method", None)))
                if answer is not None:
                    self.answer(asked.channel_number, answer)

    def answer(self, channel, method):
        self.request.sendall(frame.Method(channel, method).marshal())


@pytest.fixture(scope="module")
def port():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Broker) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def channel(port):
    parameters = pika.ConnectionParameters("127.0.0.1", port)
    # MAY owner=fixture:channel scope=module
    connection = pika.BlockingConnection(parameters)  # LEAK owner=fixture:channel scope=module
    KEPT.append(connection)
    return connection.channel()


def test_is_open(channel):
    assert channel.is_open


def test_next_is_innocent():
    pass
