"""The checked arguments of a server process, and its command line with the ports filled in."""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets import addresses
from pytest_sockets.errors import ServerFault, SettingError, quoted
from pytest_sockets.printable import short_command
from pytest_sockets.processes import port_fields
from pytest_sockets.waiting import checked_timeout

if TYPE_CHECKING:
    from pytest_sockets.literals import PortProtocol

_PROTOCOLS: Final = ("tcp", "udp")
_TITLE: Final = 100
_BESIDE: Final = os.path.dirname(sys.executable)  # noqa: PTH120
"""The folder with the scripts of this environment, even if the environment is not activated."""


@dataclasses.dataclass(frozen=True, slots=True)
class Launch:
    """The arguments of one start, ready for the operating system."""

    program: str
    argv: list[str]
    env: dict[str, str]
    cwd: str
    stop_signal: int
    stop_timeout: float
    title: str


@dataclasses.dataclass(frozen=True, slots=True)
class Command:
    """The checked arguments of `ServerProcess`."""

    words: tuple[str, ...]
    host: str
    protocol: PortProtocol
    env: Mapping[str, str | None]
    cwd: str | None
    ready: Callable[..., Any] | re.Pattern[str] | re.Pattern[bytes] | None
    timeout: float
    stop_signal: int
    stop_timeout: float
    names: tuple[str, ...]
    """The ports to fill in: "" for `{port}`."""

    def launch(self, ports: Mapping[str, int]) -> Launch:
        """Return the start with these ports. Raises `ServerFault` if the program or directory does not exist."""
        argv = [port_fields.filled(word, self.host, ports) for word in self.words]
        env = dict(os.environ)
        # Otherwise the output of a Python server stays in its buffer, where neither `ready` nor an error sees it.
        env.setdefault("PYTHONUNBUFFERED", "1")
        for name, value in self.env.items():
            if value is None:
                env.pop(name, None)
            else:
                env[name] = port_fields.filled(value, self.host, ports)
        title = shown(argv)
        if self.cwd is not None and not Path(self.cwd).is_dir():
            raise ServerFault(f"`{title}` cannot be started: cwd={self.cwd!r} is not a directory")
        program = _program(argv[0], env, self.cwd, title)
        if os.path.dirname(program) == _BESIDE:  # noqa: PTH120
            argv[0] = (
                program  # An interpreter finds its environment by this name, and PATH may lead to another.
            )
        # The keeper runs in "/", but the server must start in the test's current directory.
        return Launch(program, argv, env, self.cwd or os.getcwd(), self.stop_signal, self.stop_timeout, title)  # noqa: PTH109


def shown(words: Sequence[str]) -> str:
    """Return the command line for messages."""
    return short_command(shlex.join(words), _TITLE)


def checked(
    command: object,
    *,
    host: object,
    protocol: object,
    env: object,
    cwd: object,
    ready: object,
    timeout: object,
    stop_signal: object,
    stop_timeout: object,
) -> Command:
    """Return the arguments as a value. Raises `SettingError` for the first invalid one."""
    words = _words(command)
    values = _environment(env)
    texts = [(word, f"command[{number}] {quoted(word)}") for number, word in enumerate(words)]
    texts += [(value, f"env[{name!r}]") for name, value in values.items() if value is not None]
    if ready is not None and not callable(ready) and not isinstance(ready, re.Pattern):
        raise SettingError(f"ready={quoted(ready)}: use None, a callable or re.compile(...)")
    if cwd is not None and not isinstance(cwd, (str, os.PathLike)):
        raise SettingError(f"cwd={quoted(cwd)}: use the path of a directory")
    return Command(
        words=words,
        host=addresses.host_to_bind(host),
        protocol=_protocol(protocol),
        env=values,
        cwd=None if cwd is None else os.path.abspath(os.fsdecode(cwd)),  # noqa: PTH100  (Path keeps "..")
        ready=ready,
        timeout=_seconds("timeout", timeout),
        stop_signal=_signal(stop_signal),
        stop_timeout=_seconds("stop_timeout", stop_timeout),
        names=tuple(port_fields.names_in(texts)),
    )


def _words(command: object) -> tuple[str, ...]:
    if isinstance(command, (str, bytes)):
        text = os.fsdecode(command)
        raise SettingError(
            f"command={quoted(text)} is one string: use a list of words, such as {quoted(text.split())}"
            if text.strip()
            else "command is empty: use a list of words, such as ['redis-server', '--port', '{port}']"
        )
    if not isinstance(command, Sequence):
        raise SettingError(f"command={quoted(command)}: use a list of words")
    if not command:
        raise SettingError(
            "command is empty: use a list of words, such as ['redis-server', '--port', '{port}']"
        )
    words = []
    for number, word in enumerate(command):
        if not isinstance(word, (str, os.PathLike)):
            raise SettingError(
                f"command[{number}] is {quoted(word)} ({type(word).__name__}): use a str or a path"
            )
        text = os.fsdecode(word)
        if "\0" in text:
            raise SettingError(
                f"command[{number}] {quoted(text)} has a null character: no argument can have one"
            )
        words.append(text)
    if not words[0]:
        raise SettingError("command[0] is empty: it must name the program to start")
    return tuple(words)


def _environment(env: object) -> dict[str, str | None]:
    if env is None:
        return {}
    if not isinstance(env, Mapping):
        raise SettingError(f"env={quoted(env)}: use a mapping of names to values")
    for name, value in env.items():
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            raise SettingError(f"env: {quoted(name)} is not a valid name of an environment variable")
        if value is not None and (not isinstance(value, str) or "\0" in value):
            raise SettingError(f"env[{name!r}] is {quoted(value)}: use a str, or None to remove the variable")
    return dict(env)


def _protocol(value: object) -> PortProtocol:
    if value not in _PROTOCOLS:
        raise SettingError(f"protocol={quoted(value)}: use 'tcp' or 'udp'")
    return value


def _seconds(name: str, value: object) -> float:
    try:
        return checked_timeout(value)
    except ValueError:
        raise SettingError(
            f"{name}={quoted(value)}: use a number of seconds, 0 or more, such as 5.0"
        ) from None


def _signal(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return int(signal.Signals(value))
        except ValueError:
            pass
    raise SettingError(f"stop_signal={quoted(value)}: use a signal such as signal.SIGTERM or signal.SIGINT")


def _program(word: str, env: Mapping[str, str], cwd: str | None, title: str) -> str:
    """Return the path of the program, from PATH or else from the interpreter's folder (for `python -m pytest`)."""
    if os.sep in word:
        path = os.path.join(cwd or os.getcwd(), word)  # noqa: PTH109, PTH118
        if os.path.isfile(path) and os.access(path, os.X_OK):  # noqa: PTH113
            return path
        why = "is not executable" if os.path.isfile(path) else "does not exist"  # noqa: PTH113
        raise ServerFault(f"`{title}` cannot be started: {path} {why}")
    found = shutil.which(word, path=env.get("PATH", os.defpath)) or shutil.which(word, path=_BESIDE)
    if found is None:
        raise ServerFault(
            f"`{title}` cannot be started: no program {word!r} on PATH or in {_BESIDE}; install it or give its path"
        )
    return os.path.abspath(found)  # noqa: PTH100
