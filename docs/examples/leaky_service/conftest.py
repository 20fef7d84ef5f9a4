import pytest
from leaky_service.jobq import JobServer


# [queue]
@pytest.fixture(scope="module")
def queue():
    server = JobServer()
    server.start()
    return server


# [/queue]
