"""A test closes its psycopg connection before it drops it."""
# needs: psycopg
# run: --sockets-unclosed=warn

import os

import psycopg

DSN = (
    f"host=127.0.0.1 port={os.environ['CORPUS_POSTGRES']} user=u dbname=d sslmode=disable gssencmode=disable"
)


def test_connects():
    connection = psycopg.connect(DSN)
    connection.close()


def test_next_is_innocent():
    pass
