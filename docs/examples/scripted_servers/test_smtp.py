import re
import smtplib


def test_the_client_turns_to_tls(scripted_server_factory, sockets_tls):
    def serve(conn):
        conn.send(b"220 mail\r\n")
        conn.expect(re.compile(rb"ehlo .*\r\n"))
        conn.send(b"250-mail\r\n250 STARTTLS\r\n")
        conn.expect(b"STARTTLS\r\n")
        conn.send(b"220 go\r\n")
        conn.start_tls()
        conn.expect(b"QUIT\r\n")
        conn.send(b"221 bye\r\n")

    with smtplib.SMTP("127.0.0.1", scripted_server_factory(serve).port) as client:
        client.starttls(context=sockets_tls.client_context)
