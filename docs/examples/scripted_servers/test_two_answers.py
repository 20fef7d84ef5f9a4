"""A list of handlers: the first connection gets a refusal, the second one a greeting."""

import socket


def first_answer(conn):
    conn.send(b"421 busy\r\n")


def then_another(conn):
    conn.send(b"220 ready\r\n")


def test_each_connection_gets_an_answer_of_its_own(scripted_server_factory):
    server = scripted_server_factory([first_answer, then_another])
    greetings = []
    for _ in range(2):
        with socket.create_connection(server.address) as client, client.makefile("rb") as lines:
            greetings.append(lines.readline())
    assert greetings == [b"421 busy\r\n", b"220 ready\r\n"]
