"""A process that has pytest loaded and forks a child for each suite.

It reads one JSON job per line from stdin and writes one JSON result per line to stdout. Each job runs in a supervisor
of its own. A job that asks for isolation gets a network namespace where the system allows that, and peers of its own, so
that suites which run at the same time cannot take each other's ports.

Only pytest and the standard library are loaded beforehand. The plugin under test and its peers among plugins are
imported by each child, so that they start in the state that they have in a new process.

`forking.py` runs this file's text under a name in angle brackets: a frame of it must not look like the user's code.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.metadata
import json
import os
import runpy
import select
import signal
import socket
import struct
import sys
import time
from typing import Any

from _pytest.config import default_plugins

_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914
_IFF_UP_RUNNING = 0x41
_PRELOADED = (
    "asyncio", "concurrent.futures", "http.client", "http.server", "logging", "pdb", "socketserver", "ssl", "subprocess",
    "unittest", "urllib.request", "psutil", "pytest", "_pytest.pytester", "examiner.peers",
)  # fmt: skip

_GIVEN = ["", *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
_SYSTEM_PATH = [entry for entry in sys.path if entry not in _GIVEN]


def main() -> None:
    """Serve jobs until stdin ends, then end what still runs."""
    for name in _PRELOADED:
        __import__(name)
    for name in default_plugins:
        __import__(f"_pytest.{name}")
    importlib.metadata.entry_points()  # the installed packages, which each run of pytest searches
    running: dict[int, Any] = {}
    pending = b""
    while True:
        ready, _, _ = select.select([0], [], [], 0.02 if running else None)
        _report_ended(running)
        if not ready:
            continue
        if not (data := os.read(0, 65536)):
            break
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            job = json.loads(line)
            sys.stdout.flush()
            pid = os.fork()
            if pid == 0:
                _supervise(job)
            running[pid] = job["id"]
    for pid in running:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def _report_ended(running: dict[int, Any]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        if (job := running.pop(pid, None)) is not None and status != 0:
            _answer(job, None)  # a supervisor that fails has not answered


def _answer(job: Any, exit_code: int | None) -> None:
    os.write(1, (json.dumps({"id": job, "exit_code": exit_code}) + "\n").encode())


def _supervise(job: dict[str, Any]) -> None:
    """Run one suite to its end, kill what it left, answer, and exit."""
    status = 1
    try:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        os.setpgid(0, 0)
        environment = dict(job["environment"])
        if job["isolated"]:
            _own_network()
            environment |= _start_peers()
        with socket.create_server(("127.0.0.1", 0)) as inherited:
            suite = os.fork()
            if suite == 0:
                descriptor = inherited.detach()
                _become_pytest(job, environment, descriptor if job["inherits"] else None)
            try:
                exit_code = _wait(suite, job["timeout"])
            finally:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(suite, signal.SIGKILL)
        _answer(job["id"], exit_code)
        status = 0
    finally:
        os._exit(status)


def _start_peers() -> dict[str, str]:
    """Fork a process that serves until this one has ended; returns the variables by which suites find it."""
    from examiner.peers import peers

    answers, answer = os.pipe()
    alive, life = os.pipe()
    if os.fork() == 0:
        os.close(life)
        with peers() as environment:
            os.write(answer, json.dumps(environment).encode())
            os.close(answer)
            os.read(alive, 1)  # returns when the supervisor and the suite's own copies are gone
            os._exit(0)
    os.close(answer)
    os.close(alive)
    with open(answers, "rb") as stream:
        return dict(json.loads(stream.read()))


def _wait(pid: int, timeout: float) -> int | None:
    """The exit code as subprocess has it, or None after `timeout` seconds."""
    descriptor = os.pidfd_open(pid)
    try:
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        if not poller.poll(timeout * 1000):
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        os.close(descriptor)


def _own_network() -> None:
    """A network namespace with only a loopback interface; without the privilege the machine's own stays."""
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) != 0:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        import fcntl

        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP_RUNNING))


def _become_pytest(job: dict[str, Any], environment: dict[str, str], inherited: int | None) -> None:
    """Turn this child into what `python -m pytest ...` is in a new process."""
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    os.chdir(job["folder"])
    output = os.open(job["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for wanted, descriptor in ((0, nothing), (1, output), (2, output)):
        os.dup2(descriptor, wanted)
    kept = 3
    if inherited is not None:
        kept = os.dup2(inherited, 3, inheritable=True) + 1
        environment["CORPUS_INHERITED"] = "3"
    os.closerange(kept, 1 << 16)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = list(job["arguments"])
    sys.path[:] = [job["folder"], *environment.get("PYTHONPATH", "").split(os.pathsep), *_SYSTEM_PATH]
    sys.dont_write_bytecode = True
    code = 1
    try:
        runpy.run_module("pytest", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        _finish_process(code)


def _finish_process(code: int) -> None:
    """What the interpreter does at its end, apart from freeing memory: threads, atexit, buffers."""
    import atexit
    import threading

    with contextlib.suppress(BaseException):
        threading._shutdown()
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):
            stream.flush()
    os._exit(code)


main()
