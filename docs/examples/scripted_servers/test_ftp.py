import ftplib


def test_a_file_comes_over_a_second_connection(scripted_server_factory):
    data = scripted_server_factory([lambda conn: conn.send(b"the file")])
    answers = {b"USER": b"230 in", b"TYPE": b"200 ok", b"RETR": b"150 here\r\n226 done", b"QUIT": b"221 bye"}
    received, answers[b"PASV"] = [], b"227 (127,0,0,1,%d,%d)" % divmod(data.port, 256)

    def control(conn):
        conn.send(b"220 ftp\r\n")
        while line := conn.readline():
            conn.send(answers[line[:4]] + b"\r\n")

    with ftplib.FTP() as client:
        client.connect("127.0.0.1", scripted_server_factory(control).port)
        client.login()
        client.retrbinary("RETR file", received.append)
    assert received == [b"the file"]
