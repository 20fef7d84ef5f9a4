"""Another worker of the same user learns what opened a socket. Other users learn nothing, and cannot block the answers."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from pytest_sockets import lookups, own_threads
from pytest_sockets.asserting import openers
from pytest_sockets.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="answers are given on Linux only")

ANSWER = """
import sys, os
from pytest_sockets import lookups
from pytest_sockets.asserting import openers
def look_up(inode): return {"7": "test a.py::test_secret, at a.py:3", "8": "a\\x1b[2J\\nb" + "c" * 9000}.get(str(inode))
PROVIDE
os.environ["PYTEST_XDIST_WORKER"] = "gw5"
openers.start_answering()
print("ready", flush=True)
sys.stdin.read()
"""
PROVIDE = "lookups.socket_opener = look_up"


@contextlib.contextmanager
def running(code: str, **popen: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **popen
    ) as process:
        assert process.stdout
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
def worker() -> Iterator[int]:
    """The process id of another worker that answers."""
    with running(ANSWER.replace("PROVIDE", PROVIDE)) as process:
        yield process.pid


def test_another_worker_answers_with_its_name(worker: int):
    assert openers.opener_of(worker, 7) == openers.Opener("test a.py::test_secret, at a.py:3", "gw5")
    assert openers.opener_of(worker, 9) is None


def test_an_answer_is_made_printable_and_bounded(worker: int):
    found = openers.opener_of(worker, 8)
    assert found is not None
    assert found.name.startswith("a\\x1b[2J\\nbccc")
    assert len(found.name) == 300


def as_other_user(code: str) -> str:
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=20).stdout


needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid")
    or os.geteuid() != 0
    or shutil.which("setpriv") is None
    or not os.path.exists("/usr/bin/python3"),
    reason="needs root, setpriv and a Python for everybody",
)

ASK = """
import socket
c = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); c.settimeout(1); c.bind("")
c.sendto(b"7", chr(0) + "pytest-sockets/openers/%d")
try: print(c.recv(4096))
except TimeoutError: print("no answer")
"""


@needs_root
def test_another_user_gets_no_answer(worker: int):
    assert as_other_user(ASK % worker) == "no answer\n"


def test_the_twin_the_same_user_gets_one(worker: int):
    asked = subprocess.run([sys.executable, "-c", ASK % worker], capture_output=True, text=True, timeout=20)
    assert "test_secret" in asked.stdout


FLOOD = """
import socket, time
s = [socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(200)]
end = time.monotonic() + %s
print("ready", flush=True)
while time.monotonic() < end:
    for one in s:
        one.setblocking(False)
        try: one.connect(chr(0) + "pytest-sockets/openers/%d"); one.send(b"")
        except OSError: pass
    time.sleep(0.001)
"""


def test_senders_that_never_read_do_not_delay_an_answer(worker: int):
    with running(FLOOD % (10, worker)):
        times = []
        for _ in range(5):
            begin = time.monotonic()
            found = openers.opener_of(worker, 7)
            times.append(time.monotonic() - begin)
            assert found is not None
        assert min(times) < 0.4


SQUAT = """
import socket, sys
u = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); u.bind(chr(0) + "pytest-sockets/openers/%d")
print("ready", flush=True)
while True:
    data, address = u.recvfrom(64)
    u.sendto(b"gw7\\ntest forged", address)
"""


def test_the_answer_of_another_process_than_the_asked_one_is_not_believed():
    with running("print('ready', flush=True); input()") as asked, running(SQUAT % asked.pid):
        assert openers.opener_of(asked.pid, 7) is None


@needs_root
def test_a_name_that_another_user_has_taken_is_not_believed():
    pid = 4_194_303  # of no process
    code = (SQUAT % pid).replace("while True:", "for _ in range(1):")
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd="/") as squatter:
        assert squatter.stdout
        assert squatter.stdout.readline() == "ready\n"
        with openers._new_socket() as client:
            client.settimeout(10)
            client.bind("")
            client.sendto(b"7", openers._name(pid))
            data, _, sender = openers._receive(client)
        assert data == b"gw7\ntest forged"
        assert sender is None


def test_asking_a_process_that_does_not_answer_returns_at_once():
    begin = time.monotonic()
    assert openers.opener_of(os.getppid(), 7) is None
    assert time.monotonic() - begin < 0.4


def test_the_thread_is_the_plugins_own_and_ends(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(openers, "_listener", None)
    before, threads = own_threads.count(), threading.enumerate()
    name = openers._name
    monkeypatch.setattr(openers, "_name", lambda pid: f"{name(pid)}/test")
    openers.start_answering()
    try:
        assert own_threads.count() == before + 1
        assert threading.enumerate() == threads
    finally:
        openers.stop_answering()
    assert wait_until(lambda: own_threads.count() == before, 10)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as again:
        again.bind(openers._name(os.getpid()))


def test_a_look_up_that_fails_is_no_answer(monkeypatch: pytest.MonkeyPatch):
    def fail(inode: int) -> str:
        raise RuntimeError(inode)

    monkeypatch.setattr(lookups, "socket_opener", fail)
    assert openers.opened_here(7) is None
