"""Text of other processes is shown without control characters and without passwords."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sockets.printable import masked, printable


@given(st.text(max_size=60))
def test_every_text_becomes_one_printable_line(text):
    assert printable(text).isprintable()


def test_letters_stay_and_control_characters_are_escaped():
    assert printable("grüße 端口") == "grüße 端口"
    assert printable("a\x1b[2J\r\nb\u202e\udcff") == "a\\x1b[2J\\r\\nb\\u202e\\udcff"


@pytest.mark.parametrize(
    ("command_line", "shown"),
    [
        ("app postgres://bob:hunter2@db:5432/x", "app postgres://bob:***@db:5432/x"),
        ("app redis://:hunter2@db", "app redis://:***@db"),
        ("app amqp://bob:hun@ter2@db/x?a=b@c", "app amqp://bob:***@db/x?a=b@c"),
        ("mysqld --password=hunter2 --port 80", "mysqld --password=*** --port 80"),
        ("mysqld --db-password hunter2 --port 80", "mysqld --db-password *** --port 80"),
        ("env PGPASSWORD=hunter2 psql", "env PGPASSWORD=*** psql"),
        ("redis-server --requirepass hunter2", "redis-server --requirepass ***"),
        ("app --api-key=hunter2 -v", "app --api-key=*** -v"),
        ("app --token 'hunter2 more' -v", "app --token *** -v"),
        ("curl -u bob:hunter2 http://x", "curl -u bob:*** http://x"),
    ],
)
def test_a_password_is_masked(command_line, shown):
    assert masked(command_line) == shown


@pytest.mark.parametrize(
    "command_line",
    [
        "app http://host:80/path@x",
        "app --no-password --port 80",
        "python -m http.server 8080 --bind 127.0.0.1",
        "app http://bob@host:80/",
        "python test_passwords.py secret-service",
    ],
)
def test_what_is_not_a_password_stays(command_line):
    assert masked(command_line) == command_line
