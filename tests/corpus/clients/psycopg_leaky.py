"""libpq opened the socket: no Python event tells of it, the descriptor does."""
# needs: psycopg

import os

import psycopg

DSN = (
    f"host=127.0.0.1 port={os.environ['CORPUS_POSTGRES']} user=u dbname=d sslmode=disable gssencmode=disable"
)
KEPT = []


def test_connects():
    KEPT.append(psycopg.connect(DSN))  # LEAK owner=test:test_connects line=optional status=ESTABLISHED


def test_next_is_innocent():
    pass
