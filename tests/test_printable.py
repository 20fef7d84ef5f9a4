"""Text of other processes is shown on one line, without control characters and without passwords."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sockets import printable as module
from pytest_sockets.printable import (
    command_text,
    cut_at_start,
    cut_in_middle,
    masked,
    printable,
    short_command,
    shortened,
)


@given(st.text(max_size=60))
def test_every_text_becomes_one_printable_line(text: str):
    assert printable(text).isprintable()
    printable(text).encode()


def test_letters_stay_and_control_characters_are_escaped():
    assert printable("grüße 端口 \N{WHITE SMILING FACE}") == "grüße 端口 \N{WHITE SMILING FACE}"
    assert printable("a\x1b[2J\r\nb\u202e\udcff") == "a\\x1b[2J\\r\\nb\\u202e\\udcff"
    assert printable("\x07\x9b\u2028") == "\\x07\\x9b\\u2028"


@pytest.mark.parametrize("most", [3, 4, 10, 79])
@given(text=st.text(max_size=100))
def test_a_shortened_text_fits_and_says_that_it_is_cut(most: int, text: str):
    for cut in (shortened(text, most), cut_at_start(text, max(most, 3)), cut_in_middle(text, max(most, 5))):
        assert cut == text or "..." in cut
    assert len(shortened(text, most)) <= most
    assert len(cut_in_middle(text, max(most, 5))) <= max(most, 5)


def test_cut_in_the_middle_keeps_both_ends():
    assert cut_in_middle("python -m service --port 8080", 17) == "python ...rt 8080"
    assert shortened("python -m service --port 8080", 17) == "python -m serv..."


@pytest.mark.parametrize(
    ("command_line", "shown"),
    [
        ("app postgres://bob:hunter2@db:5432/x", "app postgres://bob:***@db:5432/x"),
        ("app redis://:hunter2@db", "app redis://:***@db"),
        ("app amqp://bob:hun@ter2@db/x", "app amqp://bob:***@db/x"),
        ("app amqp://bob:hun/ter2@db/x", "app amqp://bob:***@db/x"),
        ("mysqld --password=hunter2 --port 80", "mysqld --password=*** --port 80"),
        ("mysqld --db-password hunter2 --port 80", "mysqld --db-password *** --port 80"),
        (
            "java -Djavax.net.ssl.trustStorePassword=hunter2 X",
            "java -Djavax.net.ssl.trustStorePassword=*** X",
        ),
        ("app '--password=hunter2 two' -v", "app '--password=***' -v"),
        ("""app '--password=it'"'"'s hunter2' -v""", "app '--password=***' -v"),
        ("env PGPASSWORD=hunter2 psql", "env PGPASSWORD=*** psql"),
        ("sh -c 'PGPASSWORD=hunter2 psql'", "sh -c 'PGPASSWORD=***'"),
        ("psql 'host=db password=hunter2 user=bob'", "psql 'host=db password=*** user=bob'"),
        ("redis-server --requirepass hunter2", "redis-server --requirepass ***"),
        ("app --api-key=hunter2 -v", "app --api-key=*** -v"),
        ("app --token 'hunter2 more' -v", "app --token *** -v"),
        ("curl -u bob:hunter2 http://x", "curl -u bob:*** http://x"),
        ("curl -H 'Authorization: Bearer hunter2' http://x", "curl -H 'Authorization: Bearer ***' http://x"),
        ("/usr/bin/mysql -u bob -phunter2 db", "/usr/bin/mysql -u bob -p*** db"),
        ("sshpass -p hunter2 ssh db", "sshpass -p *** ssh db"),
        ("redis-cli -p 7000 -a hunter2", "redis-cli -p 7000 -a ***"),
        ("openssl req -passin pass:hunter2", "openssl req -passin pass:***"),
    ],
)
def test_a_password_is_masked(command_line: str, shown: str):
    assert masked(command_line) == shown
    assert "hunter2" not in command_text(command_line)


@pytest.mark.parametrize(
    "command_line",
    [
        "app http://host:80/path@x",
        "app --no-password --port 80",
        "app --password-file /run/secret --max-tokens 512",
        "python -m http.server 8080 --bind 127.0.0.1",
        "app http://bob@host:80/",
        "ssh -p 2222 bob@host",
        "docker run -u 1000:1000 -p 8080:80 app",
        "python test_passwords.py secret-service",
        "node --token",
    ],
)
def test_a_command_line_without_a_password_stays_as_it_is(command_line: str):
    assert masked(command_line) == command_line


def test_secrets_are_shown_on_demand():
    with module.secrets_shown():
        assert masked("app --password=hunter2") == "app --password=hunter2"
    assert masked("app --password=hunter2") == "app --password=***"


@pytest.mark.parametrize("piece", ["a" * 10, "'", "--password=", "x:/", "mysql ", "-p' ", "-" * 7, "://a:"])
def test_a_hostile_command_line_takes_no_time(piece: str):
    begin = time.process_time()
    text = command_text(piece * (2_000_000 // len(piece)))
    assert time.process_time() - begin < 1.0
    assert len(text) <= module.LONGEST_COMMAND_LINE


LONG = "/a/" + "long/" * 30


@pytest.mark.parametrize(
    ("command_line", "shown"),
    [
        ("/usr/bin/nginx -g x", "nginx -g x"),
        (f"{LONG}bin/python {LONG}peer.py 20000 20001 abstract", "python peer.py 20000 20001 abstract"),
        (f"{LONG}bin/python -X dev {LONG}peer.py", "python -X dev peer.py"),
        (f"'{LONG}my python' '{LONG}my peer.py' --port 80", "'my python' 'my peer.py' --port 80"),
        (r"C:\Python\python.exe C:\short\x.py", r"python.exe C:\short\x.py"),
        ("python scripts/serve.py --port 80", "python scripts/serve.py --port 80"),
        ("server", "server"),
        ("", ""),
    ],
)
def test_a_command_line_loses_its_folders_first(command_line, shown):
    assert short_command(command_line, 60) == shown


def test_then_it_loses_its_middle():
    line = f"{LONG}bin/python {LONG}server.py --option={'x' * 100} --port 80"
    shown = short_command(line, 60)
    assert len(shown) <= 60
    assert shown.startswith("python server.py --option=")
    assert shown.endswith(" --port 80")


def test_code_on_the_command_line_is_no_script():
    line = f"python -c 'print(1/2)' {LONG}data.txt"
    assert short_command(line, 60).startswith("python -c 'print(1/2)' /a/")


def test_a_short_command_line_is_masked_and_printable():
    assert short_command("/bin/x --password=hunter2 \x1b[31m", 60) == "x --password=*** \\x1b[31m"


@pytest.mark.parametrize("piece", ["'", '"', "' ", "\\", "/", "a/'"])
def test_quotes_that_do_not_match_cost_no_time(piece):
    began = time.perf_counter()
    assert len(short_command(piece * 1_000_000, 60)) <= 60
    assert time.perf_counter() - began < 5


def test_a_text_that_is_cut_at_its_start_keeps_its_end():
    assert cut_at_start("listening on port 8080", 11) == "...ort 8080"
    assert cut_at_start("listening on port 8080", 3) == "..."
    assert cut_at_start("port 8080", 9) == "port 8080"
