"""Find an "address already in use" error in an exception chain or a text, and the address that could not be bound.

The errno is 98 on Linux, 48 on macOS and BSD, 10048 on Windows. asyncio, uvloop, redis, nginx, node and Go put the
address into their messages. A plain bind() does not, so the module finds the call in the traceback's source and
evaluates its argument from the frame's variables.
"""

from __future__ import annotations

import _socket
import ast
import errno
import inspect
import linecache
import pathlib
import re
import socket
import types
from typing import TYPE_CHECKING, Any, Final

from pytest_sockets.asserting.in_use import Address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType, TracebackType

CODES: Final = frozenset((errno.EADDRINUSE, 98, 48, 10048))
_SAID: Final = re.compile(
    r"address (?:is )?already in use|E?ADDR(?:ESS )?IN ?USE|Only one usage of each socket address|\bErrno (?:98|48)\b"
    r"|WinError 10048"
    # Docker, Spring, vite, Django; Next.js, Flask; create-react-app
    r"|\bport (?:\d+ )?(?:is|was) already (?:in use|allocated)|\bport \d+ is in use|already running on port \d+",
    re.I,
)
_PERHAPS: Final = re.compile(r"Failed to bind to address|No address added out of total \d+ resolved", re.I)
"""The messages of grpc for a bind that failed for any reason."""
_DEEPEST: Final = 50
_PATHS: Final = (pathlib.PosixPath, pathlib.WindowsPath)
_ADDRESSES: Final = (
    re.compile(r"\('(?P<host>[^']*)', (?P<port>\d{1,5})[,)]"),  # a Python tuple: asyncio, create_server
    re.compile(r"\[(?P<host>[0-9a-fA-F:.%\w]*)\]:(?P<port>\d{1,5})\b"),  # [::]:80
    re.compile(
        r":(?P<host>::):(?P<port>\d{1,5})\b|(?P<host2>::):(?P<port2>\d{1,5})\b"
    ),  # node: in use :::3000
    re.compile(
        r"(?P<host>\d+\.\d+\.\d+\.\d+|localhost|\*|"
        r"\b[a-z][\w.-]*\.(?!(?:py|[cm]?js|ts|rb|go|java|cpp|php):)[a-z]{2,})"  # not the place `test_x.py:7`
        r":(?P<port>\d{1,5})\b"
    ),
    re.compile(r"\b(?:tcp|udp)[46]? (?P<host>[\w.]*):(?P<port>\d{1,5})\b"),  # Go: listen tcp :8080
    re.compile(r"\bport[ =:#]+(?P<port>\d{1,5})\b", re.I),
)


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception, its causes, contexts and group members, each once."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting and len(seen) < _DEEPEST:
        one = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, *(getattr(one, "exceptions", None) or ())]


def in_error(error: BaseException) -> Address | None:
    """Return the address that an error of the chain could not bind; an `Address` of two Nones if no error names it."""
    found: Address | None = None
    for one in chain(error):
        if isinstance(one, OSError) and (one.errno in CODES or getattr(one, "winerror", None) in CODES):
            found = in_text(_text(one)) or found
            if found is None or found.port is None:
                found = _from_traceback(one.__traceback__) or found
            found = found or Address(None, None)
        else:
            found = _in_texts(one) or found
        if found is not None and (found.port is not None or found.host):
            return found
    return found


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  (a broken __str__ is the user's to report)
        return ""


def texts(error: BaseException) -> Iterator[str]:
    """Yield the error's own text, then the output of the child process that it reports."""
    yield _text(error)
    for name in ("stderr", "output"):  # subprocess.CalledProcessError, TimeoutExpired
        value = getattr(error, name, None)
        if isinstance(value, bytes):
            yield value.decode(errors="replace")
        elif isinstance(value, str):
            yield value


def _in_texts(error: BaseException) -> Address | None:
    return next((found for text in texts(error) if (found := in_text(text))), None)


def in_text(text: str) -> Address | None:
    """Return the address on the line of a text that says "address already in use"; None if no line does.

    The result is an `Address` of two Nones if the line names no address. It is not `certain` if the text only says that
    a bind failed.
    """
    said = False
    suspect: Address | None = None
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if not _SAID.search(line):
            if suspect is None and _PERHAPS.search(line) and (found := _address(line)):
                suspect = found._replace(certain=False)
            continue
        said = True
        for candidate in (
            line,
            *lines[number + 1 : number + 5],
            *reversed(lines[max(0, number - 3) : number]),
        ):
            found = _address(candidate)
            if found:
                return found
    return suspect or (Address(None, None) if said else None)


def _address(line: str) -> Address | None:
    for pattern in _ADDRESSES:
        match = pattern.search(line)
        if match:
            groups = match.groupdict()
            port = int(groups.get("port") or groups.get("port2") or 0)
            host = groups.get("host") or groups.get("host2")
            if 0 < port <= 65535:
                protocol = "udp" if re.search(r"\budp[46]?\b", line, re.I) else None
                return Address(None if host in (None, "", "*") else host, port, protocol)
    return None


def guesses(error: BaseException) -> list[int]:
    """Return ports that the failing code used, for an error that names none.

    They come from the command line of the child that failed, and from variables in the traceback's frames. Such a
    variable holds a port, an address, a socket or a process.
    """
    found: dict[int, None] = {}
    for one in chain(error):
        _add_numbers(found, getattr(one, "cmd", None))
        for frame, _ in reversed(_frames(one.__traceback__)):
            for name, value in list(frame.f_locals.items())[:_DEEPEST]:
                _add_value(found, name, value)
    return list(found)[:_DEEPEST]


def _add_numbers(found: dict[int, None], command: object) -> None:
    words = command if isinstance(command, (list, tuple)) else [command]
    for word in words:
        if isinstance(word, (str, int)) and not isinstance(word, bool):
            for digits in re.findall(r"(?<![\d.])\d{2,5}(?![\d.])", str(word)[:1000]):
                if 0 < int(digits) <= 65535:
                    found[int(digits)] = None


def _add_value(found: dict[int, None], name: str, value: object) -> None:
    if issubclass(type(value), socket.socket):  # isinstance() would ask the object
        try:
            value = _socket.socket.getsockname(value)  # type: ignore[arg-type]
        except OSError:
            return
    address = _as_address(value, None)
    if address is not None and address.port is not None:
        found[address.port] = None
    elif type(value) is int and "port" in name.lower() and 0 < value <= 65535:
        found[value] = None
    elif type(value).__name__ == "Popen":
        _add_numbers(found, vars(value).get("args"))


def _frames(trace: TracebackType | None) -> list[tuple[FrameType, int]]:
    frames: list[tuple[FrameType, int]] = []
    while trace is not None and len(frames) < 500:
        frames.append((trace.tb_frame, trace.tb_lineno))
        trace = trace.tb_next
    return frames


def _from_traceback(trace: TracebackType | None) -> Address | None:
    for frame, line in reversed(_frames(trace)):
        found = _from_call(frame, line)
        if found:
            return found
    return None


def _from_call(frame: FrameType, line: int) -> Address | None:
    """Return the argument of the `bind(...)` call on the line, evaluated from the frame's variables."""
    source = "".join(linecache.getlines(frame.f_code.co_filename, frame.f_globals))
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        if not (
            isinstance(node, ast.Call)
            and node.lineno <= line <= (node.end_lineno or node.lineno)
            and node.args
        ):
            continue
        if isinstance(node.func, ast.Attribute) and node.func.attr == "bind":
            sock = _value(node.func.value, frame)
            found = _as_address(_value(node.args[0], frame), sock)
            if found:
                return found
    return None


def _as_address(value: Any, sock: Any) -> Address | None:
    socket_type = getattr(sock, "type", None)
    protocol = (
        "tcp" if socket_type == socket.SOCK_STREAM else "udp" if socket_type == socket.SOCK_DGRAM else None
    )
    if isinstance(value, (str, bytes)) and value:
        path = value.decode(errors="replace") if isinstance(value, bytes) else value
        return Address(f"@{path[1:]}" if path.startswith("\0") else path, None)
    if (
        isinstance(value, (tuple, list))
        and len(value) >= 2
        and isinstance(value[1], int)
        and 0 < value[1] <= 65535
    ):
        host = value[0] if isinstance(value[0], str) else None
        return Address(host or None, value[1], protocol)
    return None


def _value(node: ast.expr, frame: FrameType) -> Any:
    """Evaluate an expression of names, attributes, items, constants and tuples; None for anything else.

    It calls only `getsockname()` of a socket, int() and str(): no user code runs after the failure.
    """
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, (ast.Tuple, ast.List)):
        return tuple(_value(part, frame) for part in node.elts)
    if isinstance(node, ast.Name):
        return frame.f_locals.get(node.id, frame.f_globals.get(node.id))
    if isinstance(node, ast.Attribute):
        return _attribute(_value(node.value, frame), node.attr)
    if isinstance(node, ast.Subscript):
        container, key = _value(node.value, frame), _value(node.slice, frame)
        if type(container) not in (list, tuple, dict) or type(key) not in (int, str):
            return None
        try:
            return container[key]
        except (TypeError, LookupError):
            return None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        left, right = _value(node.left, frame), _value(node.right, frame)
        return left / right if type(left) in _PATHS and type(right) is str else None
    return _called(node, frame)


def _attribute(owner: Any, name: str) -> Any:
    """Return a plain attribute. A property or `__getattr__` is user code and does not run."""
    found = inspect.getattr_static(owner, name, None)
    if type(found) is types.MemberDescriptorType:  # of `__slots__`
        try:
            return found.__get__(owner)
        except AttributeError:
            return None
    return None if hasattr(type(found), "__get__") else found


def _called(node: ast.expr, frame: FrameType) -> Any:
    if not isinstance(node, ast.Call):
        return None
    if isinstance(node.func, ast.Attribute) and node.func.attr == "getsockname":
        owner = _value(node.func.value, frame)
        if issubclass(type(owner), socket.socket):
            try:
                return _socket.socket.getsockname(owner)
            except OSError:
                return None
    if isinstance(node.func, ast.Name) and node.func.id in ("int", "str") and len(node.args) == 1:
        value = _value(node.args[0], frame)
        if type(value) not in (int, str, *_PATHS):
            return None
        try:
            return {"int": int, "str": str}[node.func.id](value)
        except (TypeError, ValueError):
            return None
    return None
