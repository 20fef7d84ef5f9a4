"""libpq opens and closes the socket."""
# needs: psycopg

import os

import psycopg

DSN = (
    f"host=127.0.0.1 port={os.environ['CORPUS_POSTGRES']} user=u dbname=d sslmode=disable gssencmode=disable"
)
KEPT = []


def test_connects():
    connection = psycopg.connect(DSN)
    KEPT.append(connection)
    connection.close()


def test_next_is_innocent():
    pass
