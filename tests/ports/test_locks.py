"""A port's lock is seen by every process that could bind the port, and dies with the process that has it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_sockets.errors import PortUnavailable
from pytest_sockets.ports.locks import AbstractLocks, FileLocks, choose_locks

LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="abstract unix names are Linux's")


@pytest.fixture(params=[pytest.param("abstract", marks=LINUX_ONLY), "file"])
def kind(request, tmp_path):
    """How peer.py is told which locks to use."""
    return "abstract" if request.param == "abstract" else str(tmp_path / "ports.lock")


@pytest.fixture
def locks(kind):
    return AbstractLocks() if kind == "abstract" else FileLocks(Path(kind))


def test_a_lock_is_taken_once(locks, block):
    low = block(2)
    lock = locks.take(low)
    assert lock is not None
    assert locks.take(low) is None
    other = locks.take(low + 1)
    assert other is not None, "another port's lock is another lock"
    lock.close()
    again = locks.take(low)
    assert again is not None
    again.close()
    other.close()


def test_another_process_sees_the_lock_until_it_is_given_back(locks, kind, make_peer, block):
    low = block(1)
    peer = make_peer(low, low, kind)
    lock = locks.take(low)
    with pytest.raises(Exception, match="1 kept by other runs of pytest-sockets"):
        peer.reserve()
    lock.close()
    assert peer.reserve() == low
    assert locks.take(low) is None


def test_a_lock_dies_with_its_process_even_if_that_is_killed(locks, kind, make_peer, block):
    low = block(1)
    peer = make_peer(low, low, kind)
    assert peer.reserve() == low
    assert locks.take(low) is None
    peer.process.kill()
    peer.process.wait()
    lock = locks.take(low)
    assert lock is not None
    lock.close()


def test_a_forked_child_that_lives_on_does_not_keep_what_its_parent_released(locks, kind, make_peer, block):
    low = block(1)
    peer = make_peer(low, low, kind)
    peer.reserve()
    peer.fork_and_keep_running()
    assert locks.take(low) is None
    peer.release(low)
    lock = locks.take(low)
    assert lock is not None
    lock.close()


def test_a_forked_child_cannot_take_the_locks_of_its_parent(kind, make_peer, block):
    low = block(1)
    peer = make_peer(low, low, kind)
    peer.reserve()
    answer = peer.fork_and_reserve()
    assert f"no port of {low} is free" in answer["error"]
    assert peer.release(low) is False, "the child's end has given nothing of the parent's back"


@LINUX_ONLY
def test_another_network_namespace_has_locks_of_its_own(make_peer, namespace, block):
    low = block(1)
    assert make_peer(low, low).reserve() == low
    assert make_peer(low, low, wrapper=namespace()).reserve() == low


def test_two_forced_file_locks_on_one_file_keep_one_set_of_books(tmp_path):
    """A lock of fcntl(2) belongs to the process: a second one by the same process would succeed."""
    locks = FileLocks(tmp_path / "ports.lock")
    first = locks.take(1)
    assert first is not None
    assert locks.take(1) is None
    first.close()
    first.close()
    again = locks.take(1)
    assert again is not None
    again.close()


def test_a_lock_file_that_cannot_be_opened_is_an_error_that_names_it(tmp_path):
    with pytest.raises(
        PortUnavailable, match=r"nowhere/ports\.lock, cannot be opened: No such file or directory"
    ):
        FileLocks(tmp_path / "nowhere" / "ports.lock").take(1)


@pytest.mark.skipif(sys.platform == "win32", reason="file modes are POSIX's")
def test_the_lock_file_may_be_used_by_every_user(tmp_path):
    path = tmp_path / "ports.lock"
    lock = FileLocks(path).take(1)
    assert path.stat().st_mode & 0o777 == 0o666
    assert path.stat().st_size == 0
    lock.close()


@LINUX_ONLY
def test_linux_locks_by_abstract_names():
    assert isinstance(choose_locks(), AbstractLocks)


def test_elsewhere_one_file_serves_the_whole_process(monkeypatch):
    monkeypatch.setattr("pytest_sockets.ports.locks.sys.platform", "darwin")
    assert isinstance(choose_locks(), FileLocks)
    assert choose_locks() is choose_locks()
