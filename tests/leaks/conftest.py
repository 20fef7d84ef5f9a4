"""A ledger of its own for one test, listening beside the run's."""

from __future__ import annotations

import os
import sysconfig
import threading
from pathlib import Path

import pytest

from pytest_sockets.leaks import watcher
from pytest_sockets.leaks.attribution import watch
from pytest_sockets.leaks.call_site import Places
from pytest_sockets.leaks.children import Children
from pytest_sockets.leaks.owner import Owner, Scope
from pytest_sockets.leaks.registry import Registry

ROOT = Path(__file__).resolve().parents[2]


def suspects(ledger, owner):
    ledger.checkpoint()
    ledger.end(owner)
    return ledger.suspects()


def in_library_code(source, **names):
    """Run as the code of a file of the standard library, in a thread: no line of the user's is on the stack."""
    code = compile(source, os.path.join(sysconfig.get_paths()["stdlib"], "made_up.py"), "exec")
    thread = threading.Thread(target=exec, args=(code, names))
    thread.start()
    thread.join()
    return names


@pytest.fixture
def places():
    """The user's code is what lies below the project's folder."""
    return Places(ROOT)


@pytest.fixture
def ledger(places):
    """It has begun: what is open now is nobody's."""
    books = Registry(places, Owner("session", "session", "session"))
    attribution = watch(books)
    books.begin()
    yield books
    watcher.stop_listening(attribution)
    books.fds.close()


@pytest.fixture
def test_owner(ledger):
    """The test that runs now, in its call phase."""
    owner = Owner("test", "tests/test_a.py::test_one", "function")
    ledger.current.enter(Scope(owner, "call"))
    return owner


@pytest.fixture
def fixture_owner():
    return Owner("fixture", "server", "module")


@pytest.fixture
def children(test_owner):
    """The children of this process from now on."""
    watch = Children()
    watch.begin()
    return watch
