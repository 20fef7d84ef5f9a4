"""Without privileges the table has fewer facts, nothing breaks, and the text says what was hidden."""

from __future__ import annotations

import os
import pickle
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sockets.asserting import failure, holder_text, in_use
from pytest_sockets.plugin import table_filter, table_text
from pytest_sockets.table.readers import PortableReader, reader
from pytest_sockets.table.reading import socket_table

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.getuid() != 0, reason="drops privileges, so it must have some"
)
_NOBODY = 65534


def as_nobody(ask: Callable[[], Any]) -> Any:
    """The result of a forked process that gave up root."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        try:
            os.setgroups([])
            os.setgid(_NOBODY)
            os.setuid(_NOBODY)
            answer = ask()
        except BaseException as error:
            answer = error
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(answer, pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pickle.load(pipe)
    os.waitpid(pid, 0)
    if isinstance(answer, BaseException):
        raise answer
    return answer


@pytest.fixture
def foreign():
    """A listener of a root process that the forked child does not hold."""
    import subprocess

    listen = "s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)"
    code = f"import socket, sys; {listen}; sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        yield process, int(process.stdout.readline())
        process.kill()


def test_the_entry_stays_and_loses_its_pid(foreign):
    process, port = foreign
    (entry,) = as_nobody(lambda: list(socket_table("system").listening.on_port(port)))
    assert (entry.status, entry.pid, entry.fd, entry.uid) == ("LISTEN", None, None, 0)
    (entry,) = socket_table("system").listening.on_port(port)
    assert entry.pid == process.pid


def test_the_holder_is_named_by_uid_and_the_hint_says_what_is_hidden(foreign):
    _, port = foreign
    holder = as_nobody(lambda: str(holder_text.who_holds(port)[0]))
    assert "a process that is not visible to this user (uid 0) listens on" in holder
    text = as_nobody(lambda: in_use.explanation(in_use.Address("127.0.0.1", port)))
    assert "not visible to this user" in text
    assert "as root" in text


def test_psutil_and_the_listing_work_too(foreign):
    _, port = foreign
    assert as_nobody(lambda: port in PortableReader().listening()) is True
    text = as_nobody(lambda: table_text.sockets(reader().system(), table_filter.parse(f":{port}"), 120))
    assert f"127.0.0.1:{port}" in text
    assert "1 of them belong to processes that are not visible to this user" in text


def test_an_assertion_still_has_its_answer(foreign):
    _, port = foreign
    lines = as_nobody(lambda: failure.explain("not in", port, reader().listening()))
    assert f"{port} not in sockets.listening: a process that is not visible to this user (uid 0)" in lines[0]


def test_own_sockets_are_seen_in_full():
    def look():
        with socket.create_server(("127.0.0.1", 0)) as server:
            found = socket_table("system").listening.on_port(server.getsockname()[1])
            return [(entry.pid == os.getpid(), entry.fd == server.fileno()) for entry in found]

    assert as_nobody(look) == [(True, True)]
