import re
import smtplib


def test_mail_goes_out_over_starttls(scripted_server_factory, sockets_tls):
    def smtp(conn):
        for greeting in (b"220 mail\r\n", None):
            conn.send(greeting) if greeting else conn.start_tls()
            conn.expect(re.compile(rb"ehlo .*\r\n"))
            conn.send(b"250-mail\r\n250 STARTTLS\r\n")
            conn.expect(b"STARTTLS\r\n" if greeting else b"quit\r\n")
            conn.send(b"220 go\r\n" if greeting else b"221 bye\r\n")

    with smtplib.SMTP("127.0.0.1", scripted_server_factory(smtp).port) as client:
        client.starttls(context=sockets_tls.client_context)
        client.ehlo()
