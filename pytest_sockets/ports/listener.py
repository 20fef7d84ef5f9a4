"""A listening socket to hand over to a server, so that its port always has a listener."""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.errors import SettingError, SocketsError
from pytest_sockets.model import Endpoint
from pytest_sockets.ports.probing import bind_address
from pytest_sockets.real_socket import RealSocket

if TYPE_CHECKING:
    from collections.abc import Sequence


FD_VARIABLE: Final = "PYTEST_SOCKETS_LISTENER_FD"
FIRST_SYSTEMD_FD: Final = 3  # sd_listen_fds(3)

_ACTIVATE: Final = f"""\
import os, sys
fd = int(sys.argv[1])
if fd == {FIRST_SYSTEMD_FD}:
    os.set_inheritable(fd, True)
else:
    os.dup2(fd, {FIRST_SYSTEMD_FD})
    os.close(fd)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), {FD_VARIABLE}="{FIRST_SYSTEMD_FD}")
try:
    os.execvp(sys.argv[2], sys.argv[2:])
except OSError as error:
    sys.exit(f"{{sys.argv[2]}}: {{error.strerror}}")
"""
"""Replaces itself with the program. LISTEN_PID must be the server's process id, which is unknown before the server runs.
`preexec_fn` could set it between fork and exec, but deadlocks in threaded processes. A shell cannot move descriptors
above 9. The start of a bare interpreter costs some 10 ms."""


class Listener(RealSocket):
    """A TCP socket that already listens. Clients may connect at once; they wait in the backlog until a server accepts.

    Hand it over as an object (asyncio `sock=`, `http.server`, hypercorn ...), by number (`uvicorn --fd`, `gunicorn -b
    fd://N`), or to a child process through `popen_kwargs`. The factory closes it at the end of the session. If clients
    should be refused when a child dies, close the listener once the child has it.
    """

    address: Endpoint
    host: str
    port: int

    def popen_kwargs(self, command: Sequence[str] | None = None) -> dict[str, Any]:
        """Return keyword arguments for `subprocess.Popen` (or `run`, or asyncio's) that pass this socket to the child.

        With `command`, the child is started by systemd's complete protocol for socket activation. The socket is descriptor
        3 in the child, LISTEN_FDS is 1, and LISTEN_PID is the child's process id. gunicorn and all programs that use
        sd_listen_fds(3) accept it: `Popen(**listener.popen_kwargs(["gunicorn", "app:app"]))`.

        Without `command`: `Popen(command, **listener.popen_kwargs())`. The socket keeps its number, `listener.fileno()`,
        which the child finds in PYTEST_SOCKETS_LISTENER_FD. LISTEN_FDS is set, but LISTEN_PID is not, since only the child
        knows it.

        The result contains a copy of the current environment. Merge your own variables into `kwargs["env"]`, since `env=`
        would replace it.
        """
        if sys.platform == "win32":
            raise SocketsError(
                "a socket cannot be inherited by number on Windows; use listener.share(process.pid)"
            )
        fd = self.fileno()
        if fd < 0:
            raise SettingError("this listener is closed, so it cannot be handed over")
        env = {name: value for name, value in os.environ.items() if not name.startswith("LISTEN_")}
        env.update({"LISTEN_FDS": "1", FD_VARIABLE: str(fd)})
        kwargs: dict[str, Any] = {"pass_fds": (fd,), "env": env}
        if command is None:
            return kwargs
        if isinstance(command, (str, bytes)) or not command:
            raise SettingError(f"popen_kwargs({command!r}): give the command as a list of words")
        # -I -S: no site, no user code. The environment variables are meant for the program, not for this interpreter.
        kwargs["args"] = [sys.executable, "-I", "-S", "-c", _ACTIVATE, str(fd), *map(os.fspath, command)]
        return kwargs


def open_listener(host: str, port: int, backlog: int) -> Listener:
    """Return a `Listener` on `host`; "::" means every address of both families.

    Raises SettingError if `host` is not an address of this machine.
    """
    place = bind_address(host)
    listener = Listener(place.family, socket.SOCK_STREAM)
    try:
        if place.v6only is not None:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, place.v6only)
        if sys.platform != "win32":  # A server that restarts on this port must not wait for TIME_WAIT to end.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((place.host, port))
        listener.listen(backlog)
    except BaseException:
        listener.close()
        raise
    listener.address = Endpoint(*listener.getsockname()[:2])
    listener.host, listener.port = place.host, port
    return listener
