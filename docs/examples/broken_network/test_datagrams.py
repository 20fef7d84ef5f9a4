"""Datagrams that are lost are the same ones in every run with the same seed."""

from pytest_sockets import faults


def test_the_same_ones_are_lost_every_time(echo_server_factory):
    server = echo_server_factory("udp", faults=[faults.Drop(0.3, seed=7)])
    client = server.connect(timeout=0.1)
    answered = []
    for number in range(10):
        client.send(b"%d" % number)
        try:
            answered.append(int(client.recv(100)))
        except TimeoutError:
            pass
    assert answered == [0, 1, 2, 4, 5, 6, 8, 9]
    assert len(server.datagrams) == 10
