"""The plugin's own threads are known as such, and invisible to `threading.enumerate()`."""

from __future__ import annotations

import os
import threading

import pytest

from pytest_sockets import own_threads
from pytest_sockets.waiting import wait_until


def test_a_thread_counts_from_its_start_to_its_end():
    begun, finish = threading.Event(), threading.Event()
    before = own_threads.count()

    def work(event: threading.Event) -> None:
        event.set()
        finish.wait(10)

    ident = own_threads.start(work, begun)
    assert own_threads.count() == before + 1
    assert begun.wait(10)
    assert ident in own_threads.identifiers()
    assert ident not in [thread.ident for thread in threading.enumerate()]
    finish.set()
    assert wait_until(lambda: own_threads.count() == before, 10)
    assert ident not in own_threads.identifiers()


def test_a_thread_that_cannot_start_is_not_counted(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> int:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(own_threads, "start_new_thread", refuse)
    before = own_threads.count()
    with pytest.raises(RuntimeError):
        own_threads.start(print)
    assert own_threads.count() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork()")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_has_none():
    finish = threading.Event()
    own_threads.start(finish.wait, 10)
    pid = os.fork()
    if pid == 0:
        os._exit(own_threads.count())
    _, status = os.waitpid(pid, 0)
    finish.set()
    assert os.waitstatus_to_exitcode(status) == 0
