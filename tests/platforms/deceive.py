"""A pytest plugin that makes this project's modules, and nothing else, believe that they run on macOS or Windows.

Load it before pytest-sockets: `-p deceive`, with the system's name in PLATFORM ("darwin" or "win32"). Modules of
`pytest_sockets` then import stand-ins for `os`, `sys`, `socket`, `select`, `psutil` and a few more, which lack what that
system lacks and answer as it does. The suite and all libraries keep the real ones. What is simulated, and where it
comes from:

* macOS: `fstat` of a TCP or UDP socket has st_ino 0; there is no /proc; no `waitid` before Python 3.13.
* Windows: `fstat` fails on a SOCKET; there is no /proc and no /dev/fd, no fork, no unix sockets; psutil gives no fds.
* Both: no sock_diag, no SOCK_NONBLOCK, SO_DOMAIN, SO_PROTOCOL or TCP_INFO, no epoll, no abstract unix names.

It is no test on these systems: timing, errors of their kernels and their event loops are still Linux's.
"""

from __future__ import annotations

import builtins
import ctypes
import errno
import importlib.abc
import importlib.machinery
import io
import os
import pathlib
import socket
import stat
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import types

PLATFORM = os.environ["PLATFORM"]
WINDOWS = PLATFORM == "win32"
_PACKAGE = "pytest_sockets"
_NO_FILES = ("/proc", "/dev/fd") if WINDOWS else ("/proc",)

_getsockopt = ctypes.CDLL(None).getsockopt

_LINUX_OS = {
    "O_PATH",
    "memfd_create",
    "pidfd_open",
    "eventfd",
    "epoll",
    "sched_getaffinity",
    "unshare",
    "setns",
}
if WINDOWS:
    _LINUX_OS |= {
        "fork", "forkpty", "register_at_fork", "waitid", "P_ALL", "P_PID", "WEXITED", "WNOHANG", "WNOWAIT", "getuid",
        "geteuid", "getgid", "getpgid", "getpgrp", "getsid", "setsid", "killpg", "O_CLOEXEC", "O_NONBLOCK", "posix_spawn",
        "uname", "mkfifo", "fchmod", "getloadavg",
    }  # fmt: skip
elif sys.version_info < (3, 13):
    _LINUX_OS |= {"waitid", "P_ALL", "P_PID", "WEXITED", "WNOWAIT"}
_LINUX_SOCKET = {
    "SOCK_NONBLOCK",
    "SOCK_CLOEXEC",
    "SO_DOMAIN",
    "SO_PROTOCOL",
    "TCP_INFO",
    "IP_BIND_ADDRESS_NO_PORT",
}
if WINDOWS:
    _LINUX_SOCKET |= {"AF_UNIX", "SO_REUSEPORT", "SCM_RIGHTS", "recv_fds", "send_fds"}
_MISSING_MODULES = {"fcntl", "resource", "pwd", "grp", "termios"} if WINDOWS else set()


class StandIn:
    """Has all of the real module but the hidden names, and the changed ones instead of the real ones."""

    _real: types.ModuleType
    _hidden: set[str]
    _changed: dict[str, Any]

    def __init__(self, real: types.ModuleType, hidden: set[str], changed: dict[str, Any]) -> None:
        vars(self).update(_real=real, _hidden=hidden, _changed=changed)

    def __getattr__(self, name: str) -> Any:
        if name in self._changed:
            return self._changed[name]
        if name in self._hidden:
            raise AttributeError(f"module {self._real.__name__!r} has no attribute {name!r} on {PLATFORM}")
        return getattr(self._real, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._real, name, value)


def _gone(path: object) -> bool:
    return isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(_NO_FILES)


def _without_files(function: Any) -> Any:
    def checked(path: Any = ".", *arguments: Any, **named: Any) -> Any:
        if _gone(path):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return function(path, *arguments, **named)

    return checked


def _absent(question: Any) -> Any:
    return lambda path: not _gone(path) and question(path)


def _family(fd: int) -> int:
    """The address family of a socket, without making a socket object, which the plugin would see."""
    value, size = ctypes.c_int(), ctypes.c_uint(4)
    _getsockopt(fd, socket.SOL_SOCKET, socket.SO_DOMAIN, ctypes.byref(value), ctypes.byref(size))
    return value.value


def _fstat(fd: int) -> Any:
    found = os.fstat(fd)
    if not stat.S_ISSOCK(found.st_mode):
        return found
    if WINDOWS:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    if _family(fd) == socket.AF_UNIX:
        return found
    return os.stat_result((found.st_mode, 0, *found[2:]))


class _Path(type(pathlib.Path())):  # type: ignore[misc]
    def open(self, *arguments: Any, **named: Any) -> Any:
        return _open(str(self), *arguments, **named)

    def read_text(self, *arguments: Any, **named: Any) -> str:
        if _gone(self):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        return super().read_text(*arguments, **named)

    def exists(self, **named: Any) -> bool:
        return not _gone(self) and super().exists(**named)


_open = _without_files(io.open)
_path = StandIn(
    os.path,
    set(),
    {name: _absent(getattr(os.path, name)) for name in ("exists", "isdir", "isfile", "islink")},
)
_os = StandIn(os, _LINUX_OS, {
    "name": "nt" if WINDOWS else "posix",
    "fstat": _fstat,
    "path": _path,
    **{name: _without_files(getattr(os, name)) for name in ("listdir", "open", "readlink", "scandir", "stat")},
})  # fmt: skip


def _psutil() -> StandIn:
    import psutil

    class Process(psutil.Process):
        def net_connections(self, kind: str = "inet") -> Any:
            entries = super().net_connections(kind)
            return [entry._replace(fd=-1) for entry in entries] if WINDOWS else entries

    return StandIn(
        psutil, set(), {"Process": Process, "LINUX": False, "MACOS": not WINDOWS, "WINDOWS": WINDOWS}
    )


_STAND_INS: dict[str, Any] = {
    "os": _os,
    "os.path": _path,
    "sys": StandIn(sys, set(), {"platform": PLATFORM}),
    "socket": StandIn(
        socket, _LINUX_SOCKET | {name for name in dir(socket) if "NETLINK" in name or "VSOCK" in name}, {}
    ),
    "io": StandIn(io, set(), {"open": _open}),
    "pathlib": StandIn(pathlib, set(), {"Path": _Path}),
}


def _stand_in(name: str) -> Any:
    if name in _MISSING_MODULES:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    if name == "psutil" and name not in _STAND_INS:
        _STAND_INS[name] = _psutil()
    if name == "select" and name not in _STAND_INS:
        import select

        _STAND_INS[name] = StandIn(select, {"epoll", "poll"} if WINDOWS else {"epoll"}, {})
    return _STAND_INS.get(name)


def _import(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:  # noqa: A002
    real = builtins.__import__(name, globals, locals, fromlist, level)
    if level:
        return real
    top = name if fromlist else name.partition(".")[0]
    return _stand_in(top) or real


class _Loader(importlib.machinery.SourceFileLoader):
    def exec_module(self, module: types.ModuleType) -> None:
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": _import, "open": _open}
        super().exec_module(module)


class _Finder(importlib.abc.MetaPathFinder):
    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        if name.partition(".")[0] != _PACKAGE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


# The package imports its own modules by a finder that it derives from PathFinder.
_STAND_INS["importlib.machinery"] = StandIn(importlib.machinery, set(), {"PathFinder": _Finder})


def pytest_sessionfinish() -> None:
    """Fail if any module of the package was loaded without the stand-ins."""
    for name, module in list(sys.modules.items()):
        builtin = getattr(module, "__builtins__", None)
        if name.partition(".")[0] == _PACKAGE and not (
            isinstance(builtin, dict) and builtin["__import__"] is _import
        ):
            raise RuntimeError(f"{name} knows the real platform")


loaded = [name for name in sys.modules if name.partition(".")[0] == _PACKAGE]
if loaded:
    raise RuntimeError(f"{loaded[0]} was imported before the simulation of {PLATFORM}")
sys.meta_path.insert(0, _Finder())
