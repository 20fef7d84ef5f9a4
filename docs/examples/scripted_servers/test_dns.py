import socket
import struct


def lookup(address, query):
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.sendto(query, address)
        answer = client.recv(512)
    if not answer[2] & 0x02:  # TC: the answer was cut
        return answer
    with socket.create_connection(address) as client, client.makefile("rb") as stream:
        client.sendall(struct.pack(">H", len(query)) + query)
        return stream.read(*struct.unpack(">H", stream.read(2)))


def test_a_cut_answer_is_asked_for_again_over_tcp(free_port, echo_server_factory, scripted_server_factory):
    def over_tcp(conn):
        query = conn.recv_exactly(*struct.unpack(">H", conn.recv_exactly(2)))
        conn.send(struct.pack(">H", 2000) + query[:2] + b"\x80\x00" + b"a" * 1996)

    udp = echo_server_factory("udp", port=free_port, reply=lambda query: query[:2] + b"\x82\x00")
    tcp = scripted_server_factory(over_tcp, port=free_port)
    assert len(lookup(udp.address, b"\x12\x34\x01\x00...")) == 2000
    assert (len(udp.datagrams), len(tcp.connections)) == (1, 1)
