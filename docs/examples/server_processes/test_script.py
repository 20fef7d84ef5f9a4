"""A script that starts redis, without pytest."""

import shutil

import pytest

from pytest_sockets import ServerProcess


def main():
    with ServerProcess(["redis-server", "--port", "{port}", "--save", ""]) as redis:
        print("redis listens at", redis.url("redis"))


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server")
def test_the_script_starts_redis(capsys):
    main()
    assert "redis listens at redis://127.0.0.1:" in capsys.readouterr().out
