import ftplib


def test_a_file_comes_over_a_second_connection(scripted_server_factory):
    data = scripted_server_factory([lambda conn: conn.send(b"the file")])

    def control(conn):
        conn.send(b"220 ftp\r\n")
        passive = b"227 (127,0,0,1,%d,%d)\r\n" % divmod(data.port, 256)
        answers = {b"USER": b"230 in\r\n", b"TYPE": b"200 ok\r\n", b"PASV": passive, b"QUIT": b"221 bye\r\n"}
        answers[b"RETR"] = b"150 here\r\n226 done\r\n"
        while line := conn.readline():
            conn.send(answers[line[:4]])

    with ftplib.FTP() as client:
        client.connect("127.0.0.1", scripted_server_factory(control).port)
        client.login()
        pieces = []
        client.retrbinary("RETR file", pieces.append)
    assert pieces == [b"the file"]
