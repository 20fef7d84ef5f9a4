import redis


def test_a_pipeline_is_sent_at_once(scripted_server_factory):
    def serve(conn):
        while header := conn.readline():  # b"*3\r\n": three words, each with its length before it
            words = [conn.recv_exactly(int(conn.readline()[1:]) + 2)[:-2] for _ in range(int(header[1:]))]
            conn.send({b"SET": b"+OK\r\n", b"GET": b"$5\r\nvalue\r\n"}.get(words[0], b"+OK\r\n"))

    server = scripted_server_factory(serve)
    with redis.Redis(port=server.port, protocol=2) as client, client.pipeline(transaction=False) as pipeline:
        assert pipeline.set("key", "value").get("key").execute() == [True, b"value"]
    assert b"$3\r\nSET" in server.connections[0].received
