"""Two server processes for the whole session: redis, and the application that uses it."""

import json
import shutil
import sys
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytestmark = pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server")


# fixtures
@pytest.fixture(scope="session")
def redis(session_server_process_factory):
    return session_server_process_factory(["redis-server", "--port", "{port}", "--save", ""])


@pytest.fixture(scope="session")
def api(session_server_process_factory, redis):
    command = [sys.executable, "-m", "uvicorn", "counter:app", "--port", "{port}"]
    return session_server_process_factory(
        command, env={"REDIS_URL": redis.url("redis")}, cwd=Path(__file__).parent
    )


# tests
def visit(api):
    with urllib.request.urlopen(api.url("http") + "/visit") as answer:
        return json.load(answer)["visits"]


def test_each_visit_counts(api):
    first = visit(api)
    assert visit(api) == first + 1


def test_the_access_log_names_the_path(api):
    visit(api)
    api.wait_output(r'"GET /visit HTTP/1.1" 200')
