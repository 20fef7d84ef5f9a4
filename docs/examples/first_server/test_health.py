"""An application under uvicorn, for the whole session."""

import sys

import pytest

httpx = pytest.importorskip("httpx")
pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")


@pytest.fixture(scope="session")
def api(session_server_process_factory):
    return session_server_process_factory([sys.executable, "-m", "uvicorn", "app:app", "--port", "{port}"])


def test_health(api):
    assert httpx.get(api.url("http") + "/health").status_code == 200


def answers(server):
    return httpx.get(server.url("http") + "/health").status_code == 200


def test_it_is_ready_when_it_answers(server_process_factory):
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", "{port}"]
    api = server_process_factory(command, ready=answers)
    assert answers(api)
