"""A test drops a psycopg connection: libpq closes it in C, when it dies."""
# needs: psycopg
# run: --sockets-unclosed=warn

import os

import psycopg

DSN = (
    f"host=127.0.0.1 port={os.environ['CORPUS_POSTGRES']} user=u dbname=d sslmode=disable gssencmode=disable"
)


def test_connects():
    connection = psycopg.connect(DSN)  # LEAK owner=test:test_connects kind=unclosed
    assert not connection.closed


def test_next_is_innocent():
    pass
