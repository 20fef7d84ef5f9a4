"""Seven tests, all green, and nothing left behind."""

import socket

import pytest
from clean_service.jobq import Client, Subscriber, Worker, metrics


def test_an_empty_queue_says_so(queue):
    with Client(queue.server_address) as client:
        assert client.ask("GET") == "EMPTY"


def test_jobs_come_back_in_order(queue):
    with Client(queue.server_address) as client:
        client.ask("PUT one")
        client.ask("PUT two")
        assert [client.ask("GET"), client.ask("GET")] == ["one", "two"]


# [subscriber]
def test_a_subscriber_hears_of_a_new_job(queue):
    with Subscriber(queue.server_address) as subscriber:
        with Client(queue.server_address) as client:
            client.ask("PUT three")
            assert client.ask("GET") == "three"
        assert subscriber.new.wait(5)
        assert list(subscriber.heard) == ["JOB three"]
    # [/subscriber]


def test_a_wrong_token_is_refused(queue):
    with pytest.raises(PermissionError):
        Client(queue.server_address, token="guess")


# [metrics]
def test_a_count_does_not_wait_for_an_answer():
    metrics.count("jobs.done")
    # [/metrics]


# [worker]
def test_a_worker_tells_its_status():
    with Worker() as worker, socket.create_connection(("127.0.0.1", worker.port)) as status:
        assert status.recv(100) == b"idle\n"
    # [/worker]


def test_the_address_is_on_loopback(queue):
    assert queue.server_address[0] == "127.0.0.1"
