"""`ServerProcess`: a server in its own process, started by the constructor, ended with its whole process tree."""

from __future__ import annotations

import re
import signal
import threading
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets import addresses
from pytest_sockets.asserting.watched_process import ending
from pytest_sockets.errors import ProcessDied, ServerFault, SettingError, WaitTimeout, blames_the_call, quoted
from pytest_sockets.ports import placeholders
from pytest_sockets.ports.process_pool import process_pool
from pytest_sockets.processes import command as commands
from pytest_sockets.processes import failures, readiness
from pytest_sockets.processes.kept_tree import AVAILABLE, KeptTree
from pytest_sockets.processes.output import Output
from pytest_sockets.table import proc
from pytest_sockets.waiting import checked_timeout, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from os import PathLike
    from types import TracebackType
    from typing import Self

    from pytest_sockets.literals import PortProtocol
    from pytest_sockets.ports.pool import PortPool, Reservation
    from pytest_sockets.processes.command import Command, Launch

_LOOK_EVERY: Final = 0.008
_CALL_EVERY: Final = 0.05
_PAUSING: Final = 2.0


class ServerProcess:
    """A running server process and all processes that it starts. A context manager, whose exit ends the whole tree.

    The constructor returns once the server is ready. Raises `ProcessDied` with the end of the output if the server ends
    first, and `WaitTimeout` if it is not ready after `timeout` seconds. Raises `ServerFault` if the program does not exist,
    and `SettingError` for invalid arguments.
    """

    @blames_the_call
    def __init__(
        self,
        command: Sequence[str | PathLike[str]],
        *,
        host: str = "127.0.0.1",
        protocol: PortProtocol = "tcp",
        env: Mapping[str, str | None] | None = None,
        cwd: str | PathLike[str] | None = None,
        ready: Callable[..., Any] | re.Pattern[str] | re.Pattern[bytes] | None = None,
        timeout: float = 15.0,
        stop_signal: int = signal.SIGTERM,
        stop_timeout: float = 5.0,
        pool: PortPool | None = None,
        watch: tuple[int, ...] = (),
    ) -> None:
        """Start `command`, a list of words in which `{port}`, `{host}` and `{NAME_port}` are filled in.

        `env` is added to the environment, with the same placeholders; None removes a variable. With `ready=None`, the tree
        must listen on every port that was filled in. A callable is called until it returns true, with the server as its
        argument if it takes one. With a `re.Pattern`, the output must match. `stop_signal` is sent to the started process
        only; processes that are left `stop_timeout` seconds later are killed. Ports come from `pool`, by default that of
        this process. The server also ends when this process, or one of the processes in `watch`, is killed.
        """
        __tracebackhide__ = True
        if not AVAILABLE:
            raise ServerFault("ServerProcess needs fork() and unix sockets, which this system does not have")
        self.command: Command = commands.checked(
            command, host=host, protocol=protocol, env=env, cwd=cwd, ready=ready, timeout=timeout,
            stop_signal=stop_signal, stop_timeout=stop_timeout,
        )  # fmt: skip
        self._watch = watch
        self._lock = threading.RLock()
        self._pool = pool or process_pool()
        self._reservations: dict[str, Reservation] = {}
        self._output = self._make_output()
        self._begin = 0
        self._tree: KeptTree | None = None
        self._launch: Launch | None = None
        self._end_expected = False
        self._was_ready = False
        self._closed = False
        self.found_port: int | None = None
        """The port on which the tree listens, if the command has no `{port}`."""
        try:
            for name in self.command.names:
                self._reservations[name] = self._pool.reserve("both", self._host_to_reserve)
            self._start()
        except BaseException:
            self._end_expected = True
            self.close()
            raise

    # Address

    @property
    def port(self) -> int:
        """The port that replaced `{port}`; without that placeholder, the port on which the server listens."""
        port = self.filled_ports.get("", self.found_port)
        if port is None:
            found = readiness.listener_of(self)
            if found is None or found.local.port is None:
                raise ServerFault(
                    f"server {self} listens on no {self.command.protocol} port and has no {{port}}"
                )
            port = self.found_port = found.local.port
        return port

    @property
    def ports(self) -> dict[str, int]:
        """The ports that replaced `{NAME_port}`, by name."""
        return {name: port for name, port in self.filled_ports.items() if name}

    @property
    def filled_ports(self) -> dict[str, int]:
        """Every port that was filled in, by name; the name of `{port}` is ""."""
        return {name: reservation.port for name, reservation in self._reservations.items()}

    @property
    def host(self) -> str:
        """The host to connect to: loopback if the server binds a wildcard address."""
        host = self.command.host
        if addresses.is_wildcard(host):
            return "::1" if ":" in host else "127.0.0.1"
        return host

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, as `socket.create_connection` takes them."""
        return self.host, self.port

    def url(self, scheme: str = "http") -> str:
        """Return `scheme://host:port`, with an IPv6 host in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"

    # State

    @property
    def pid(self) -> int:
        """The process id of the started process."""
        return self._started_tree.pid

    @property
    def returncode(self) -> int | None:
        """The exit status of the started process, -N if signal N killed it; None while it runs."""
        return self._started_tree.poll()

    @property
    def is_running(self) -> bool:
        """Whether the started process runs, or has ended with status 0 and left a daemon that runs."""
        tree = self._tree
        if tree is None:
            return False
        status = tree.poll()
        return (status is None and bool(tree.pids())) or (status == 0 and bool(tree.pids()))

    def tree(self) -> list[int]:
        """The ids of all its processes, the started one first."""
        return self._tree.pids() if self._tree is not None else []

    @property
    def output(self) -> str:
        """The output to stdout and stderr since the last start. After `close()`, only the last mebibyte."""
        return self._output.read(self._begin)

    @property
    def output_size(self) -> int:
        """The number of bytes of output, over all starts."""
        return self._output.size()

    def last_output(self, since: int | None = None) -> list[str]:
        """Return the last lines of the output. `since` limits them to output after that `output_size`."""
        return self._output.tail(self._begin if since is None else since)

    @blames_the_call
    def wait_output(
        self, pattern: str | re.Pattern[str] | re.Pattern[bytes], timeout: float = 5.0
    ) -> re.Match[Any]:
        """Wait until the pattern matches anywhere in the output since the last start. Return the match.

        Raises `ProcessDied` if the server ends first, and `WaitTimeout` after `timeout` seconds. Both show the end of the
        output.
        """
        __tracebackhide__ = True
        seconds = checked_timeout(timeout)
        wanted = re.compile(pattern) if isinstance(pattern, str) else pattern
        if not isinstance(wanted, re.Pattern):
            raise SettingError(f"pattern={quoted(pattern)}: use a str or re.compile(...)")

        def look() -> re.Match[Any] | None:
            __tracebackhide__ = True
            runs = self.is_running
            found = readiness.match_in(wanted, self.output)
            if found is None and not runs:
                raise self.death(f"before its output matched {wanted.pattern!r}")
            return found

        match = wait_until(look, seconds, longest=_LOOK_EVERY)
        if match is None:
            headline = f"the output of server {self} does not match {wanted.pattern!r} after {seconds:g} s"
            raise WaitTimeout(failures.text(headline, (), self.last_output()))
        return match

    def wait(self, timeout: float = 5.0) -> int:
        """Wait until the server has ended on its own, and return its exit status. Such an end counts as expected.

        Raises `WaitTimeout` if the server still runs after `timeout` seconds.
        """
        seconds = checked_timeout(timeout)
        if not wait_until(lambda: not self.is_running, seconds, longest=_LOOK_EVERY):
            headline = f"server {self} still runs after {seconds:g} s"
            raise WaitTimeout(failures.text(headline, (), self.last_output()))
        self._end_expected = True
        status = self.returncode
        return 0 if status is None else status

    # Control

    def stop(self) -> None:
        """End the whole tree: `stop_signal` to the started process, then SIGKILL to the rest. The ports stay reserved."""
        self._end(self.command.stop_timeout)

    def kill(self) -> None:
        """Kill every process of the tree at once."""
        self._end(0.0)

    @blames_the_call
    def restart(self) -> None:
        """Stop the server if it runs, and start it again on the same ports. Raises as the constructor does."""
        __tracebackhide__ = True
        with self._lock:
            if self._closed:
                raise ServerFault(
                    f"server {self} was closed and has given its ports back: make a new ServerProcess"
                )
            self.stop()
            self._start()

    def signal(self, number: int) -> None:
        """Send a signal to the started process. Has no effect once that process has ended."""
        self._started_tree.signal(number)

    def pause(self) -> None:
        """Pause every process of the tree with SIGSTOP: clients can connect but get no answer, until `resume()`."""
        self._started_tree.signal(signal.SIGSTOP, tree=True)
        if proc.AVAILABLE:
            wait_until(lambda: all(map(_is_stopped, self.tree())), _PAUSING, longest=_LOOK_EVERY)

    def resume(self) -> None:
        """Continue every process of the tree after `pause()`."""
        self._started_tree.signal(signal.SIGCONT, tree=True)

    def close(self) -> None:
        """Stop the server and release its ports. It cannot be restarted afterwards."""
        with self._lock:
            try:
                self.stop()
            finally:
                self._closed = True
                for reservation in self._reservations.values():
                    reservation.release()
                self._output.close()

    def check(self) -> None:
        """Raise `ProcessDied` if the server ended on its own."""
        if self.has_died:
            raise self.death("before it was stopped")

    @property
    def has_died(self) -> bool:
        """Whether the server ended without a request to stop and without a `wait()`."""
        return self._tree is not None and not self._end_expected and not self.is_running

    @property
    def ending(self) -> str:
        """How the server ended: "exited with status 1", "was killed by SIGKILL"."""
        return ending(self.returncode)

    def death(self, when: str) -> ProcessDied:
        """Return the error for a server that ended: exit status, holder of its port, end of its output."""
        output = self.last_output()
        ports = () if self._was_ready else self.filled_ports.values()
        details = failures.taken_ports(ports, self.command.protocol, self.tree(), output)
        headline = f"server {self} {self.ending} {when}"
        return ProcessDied(failures.text(headline, details, output))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        try:
            self.check()
        except ProcessDied as death:
            if error is None:
                raise death.with_traceback(None) from None
            error.add_note(str(death))
        finally:
            self.close()

    def __str__(self) -> str:
        title = self._launch.title if self._launch is not None else commands.shown(self.command.words)
        pid = f" (pid {self._tree.pid})" if self._tree is not None else ""
        return f"`{title}`{pid}"

    def __repr__(self) -> str:
        return f"<ServerProcess {self}>"

    # Starting and ending

    @property
    def _host_to_reserve(self) -> str | None:
        return None if addresses.is_wildcard(self.command.host) else self.command.host

    @property
    def _started_tree(self) -> KeptTree:
        if self._tree is None:
            raise ServerFault(f"server {self} has not been started")
        return self._tree

    def _start(self) -> None:
        __tracebackhide__ = True
        command = self.command
        ports = self.filled_ports
        self._launch = launch = command.launch(ports)
        for port in ports.values():
            placeholders.release(port)  # if there is one: the server may bind without SO_REUSEADDR
        self._begin = self._output.size()
        self.found_port = None
        self._end_expected = self._was_ready = False
        self._tree = self._launched(launch)
        asks = readiness.Readiness(self)
        longest = _CALL_EVERY if callable(command.ready) else _LOOK_EVERY
        try:
            is_ready = wait_until(asks.look, command.timeout, longest=longest)
            if not is_ready:
                raise asks.timeout(command.timeout)
        except BaseException:
            self._end(command.stop_timeout)
            raise
        self._was_ready = True

    def _make_output(self) -> Output:
        return Output()

    def _launched(self, launch: Launch) -> KeptTree:
        __tracebackhide__ = True
        try:
            return KeptTree(launch, self._output.fd, watch=self._watch)
        except OSError as error:
            raise ServerFault(f"`{launch.title}` cannot be started: {error.strerror}") from None

    def _end(self, timeout: float) -> None:
        with self._lock:
            tree = self._tree
            if tree is None or not tree.is_mine:
                return
            self._end_expected = True
            left, killed = tree.stop(self.command.stop_signal, timeout)
            if left:
                raise ServerFault(
                    f"processes {', '.join(map(str, left))} of server {self} could not be killed"
                )
            if killed and timeout:
                import logging

                name = signal.Signals(self.command.stop_signal).name
                logging.getLogger("pytest_sockets").warning(
                    "server %s did not end within %g s of %s and was killed", self, timeout, name
                )


def _is_stopped(pid: int) -> bool:
    """Whether a process takes no more processor time. State D: a system call may wait for another stopped process."""
    birth = proc.birth(pid)
    return birth is None or birth[0] in "TtZXD"
