"""Make server processes, and end all of them together. Fixtures use the factory, which does not depend on pytest."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from pytest_sockets.errors import ProcessDied, SettingError, SocketsError, blames_the_call, quoted
from pytest_sockets.processes.server_process import ServerProcess

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Mapping, Sequence
    from os import PathLike

    from pytest_sockets.literals import PortProtocol
    from pytest_sockets.ports.pool import PortPool
    from pytest_sockets.processes.shared import SharedServers


class ServerProcessFactory:
    """A call returns a running `ServerProcess`; `close()` ends all of them, the last one first."""

    def __init__(
        self,
        pool: PortPool | None = None,
        made: Callable[[ServerProcess], None] = lambda _: None,
        shared: SharedServers | None = None,
        watch: tuple[int, ...] = (),
        *,
        may_share: bool = True,
    ) -> None:
        """`made` is called with each server. `shared` finds the run's servers. Servers end with the processes in `watch`."""
        self._may_share = may_share
        self._pool = pool
        self._made = made
        self._shared = shared
        self._watch = watch
        self.servers: list[ServerProcess] = []

    @blames_the_call
    def __call__(
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
        shared: bool = False,
    ) -> ServerProcess:
        """Return a running server. The arguments and errors are those of `ServerProcess`.

        With `shared=True`, the session's factory starts one process for all xdist workers of the run. The first worker that
        calls it starts the server. The others get the same server if all their arguments are equal.
        """
        __tracebackhide__ = True
        if not isinstance(shared, bool):
            raise SettingError(f"shared={quoted(shared)}: use True or False")
        if shared and not self._may_share:
            raise SettingError(
                "shared=True: this server ends with its test; use session_server_process_factory to share one"
            )
        settings: dict[str, Any] = {
            "host": host, "protocol": protocol, "env": env, "cwd": cwd, "ready": ready, "timeout": timeout,
            "stop_signal": stop_signal, "stop_timeout": stop_timeout, "pool": self._pool,
        }  # fmt: skip
        if shared and self._shared is not None:
            server = self._shared.obtain(command, settings)
        else:
            server = ServerProcess(command, **settings, watch=self._watch)
        self.servers.append(server)
        self._made(server)
        return server

    def close(self) -> None:
        """End all servers. Then raise `ProcessDied` for those that had ended on their own."""
        deaths: list[str] = []
        for server in reversed(self.servers):
            for step in (server.check, server.close):
                try:
                    step()
                except SocketsError as error:
                    deaths.append(str(error))
        self.servers.clear()
        if deaths:
            raise ProcessDied("\n\n".join(reversed(deaths)))
