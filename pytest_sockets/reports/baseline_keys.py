"""The baseline's key of a finding: the same in other checkouts, on other machines and Pythons."""

from __future__ import annotations

import functools
import re
import sysconfig
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pytest_sockets.leaks.findings import Finding, Frame

_COMPREHENSIONS: Final = frozenset(("<listcomp>", "<setcomp>", "<dictcomp>"))
_PACKAGES: Final = re.compile(r"^.*/(?:site|dist)-packages/")
_STANDARD_LIBRARY: Final = re.compile(r"^.*/python3\.\d+t?/")


class Key(NamedTuple):
    """A leak by its owner and the function that opened it, without ports, descriptors or line numbers."""

    owner: str
    place: str
    kind: str


def key_of(finding: Finding) -> Key:
    """Return the key of this finding."""
    return Key(owner_of(finding), _place_of(finding), finding.kind)


def old_key_of(finding: Finding) -> Key:
    """Return the key in a baseline of version 1: fixtures with their scope, files with their full path."""
    owner = owner_of(finding)
    if finding.owner_kind == "fixture":
        owner = f"fixture {finding.owner_name} ({finding.owner_scope})"
    place = _place_of(finding)
    if finding.opened_at is not None:
        frame = _named_function(finding.opened_at, finding.stack)
        place = f"{frame.file.replace(chr(92), '/')} in {frame.function}"
    return Key(owner, place, finding.kind)


def owner_of(finding: Finding) -> str:
    """Return the owner column. A fixture is named with the file that defines it, not with a test that uses it."""
    if finding.owner_kind == "fixture":
        return fixture_owner(finding.owner_name, finding.owner_file or finding.owner_scope)
    return "session" if finding.owner_kind == "session" else f"{finding.owner_kind} {finding.owner_name}"


def fixture_owner(name: str, file: str) -> str:
    """Return the owner column of a fixture."""
    return f"fixture {name} ({portable(file)})"


def is_narrow(finding: Finding) -> bool:
    """Whether the owner exists for one test only. Another payload of the same test is then another attempt."""
    return finding.owner_kind == "test" or (
        finding.owner_kind == "fixture" and finding.owner_scope == "function"
    )


def instance_of(finding: Finding) -> str:
    """Return the instance of the owner: the test, class, module or package for which it was set up."""
    if finding.owner_kind in ("import", "session"):
        return ""
    scope, nodeid = finding.owner_scope, finding.nodeid
    file = nodeid.partition("::")[0]
    where = {
        "session": "",
        "package": file.rpartition("/")[0],
        "module": file,
        "class": nodeid.partition("[")[0].rpartition("::")[0],
    }.get(scope, nodeid)
    return f"{where} {finding.owner_parameter or ''}"


def _place_of(finding: Finding) -> str:
    if finding.opened_at is None:
        return f"process {_program(finding.process)}" if finding.process else "not opened by Python code"
    frame: Frame | None = _named_function(finding.opened_at, finding.stack)
    if frame is not None and finding.owner_kind != "test" and _is_test(frame):
        # The pool of a wider owner opens its socket for the first test that needs one.
        frame = _innermost_of_library(finding.stack)
    return f"{portable(frame.file)} in {frame.function}" if frame is not None else "opened for a test"


def _is_test(frame: Frame) -> bool:
    return frame.function.startswith("test")


def _innermost_of_library(stack: tuple[Frame, ...]) -> Frame | None:
    return next((frame for frame in stack if portable(frame.file).startswith("site-packages/")), None)


def _named_function(frame: Frame, stack: tuple[Frame, ...]) -> Frame:
    """Return the function around a comprehension, which is a frame of its own before Python 3.12."""
    if frame.function not in _COMPREHENSIONS or frame not in stack:
        return frame
    outer = (other for other in stack[stack.index(frame) :] if other.file == frame.file)
    return next((other for other in outer if other.function not in _COMPREHENSIONS), frame)


@functools.lru_cache(maxsize=4096)
def portable(file: str) -> str:
    """Return the path without the place of this installation or checkout."""
    path = file.replace("\\", "/")
    if _PACKAGES.match(path):
        return _PACKAGES.sub("site-packages/", path)
    library = sysconfig.get_paths()["stdlib"].replace("\\", "/")
    if path.startswith(f"{library}/"):
        return f"stdlib/{path[len(library) + 1 :]}"
    if _STANDARD_LIBRARY.match(path):
        return _STANDARD_LIBRARY.sub("stdlib/", path)
    if path.startswith("/") or re.match(r"[A-Za-z]:/", path):
        return "/".join(["...", *path.rsplit("/", 2)[-2:]])
    return path


def _program(command_line: str) -> str:
    """Return the program and, for Python, its module or script, without ports, temporary paths or secrets."""
    words = command_line.split()
    name = re.split(r"[/\\]", words[0])[-1] if words else ""
    name = re.sub(r"(?<=python)[\d.]+", "", name)
    if not name.startswith("python"):
        return name
    for position, word in enumerate(words[1:], 1):
        if word == "-m" and position + 1 < len(words):
            return f"{name} -m {words[position + 1]}"
        if word.startswith("-c"):
            return f"{name} -c"
        if not word.startswith("-"):
            return f"{name} {re.split(r'[/]', word)[-1]}"
    return name
