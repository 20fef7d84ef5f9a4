import pytest
from clean_service.jobq import JobServer, metrics


# [queue]
@pytest.fixture(scope="module")
def queue():
    server = JobServer()
    server.start()
    yield server
    server.stop()


# [/queue]


# [metrics]
@pytest.fixture(autouse=True, scope="session")
def metrics_socket():
    metrics.open()
    yield
    metrics.close()


# [/metrics]
